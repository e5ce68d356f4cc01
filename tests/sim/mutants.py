#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Bugs planted on purpose: the simulator finds each of them, or it is blind.

    mutants.py --build build [--seeds 1500] [NAME...]

A mutant is a change of one text in src/. Only the changed file is compiled, and linked before the
libraries of the build; the tree itself is not touched. Prints a line per mutant, for tests/runner.py.
To add one: a row in MUTANTS; the text must stand in exactly one source file."""

import argparse
import concurrent.futures
import json
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile
import threading

TOP = pathlib.Path(__file__).absolute().parents[2]
LIMIT_S = 900

# What few seeds run into.
RARE = {"trust-other-boot": 20000, "clock-alone": 12000}

# name: (what it breaks, the text, what stands there instead, options of the simulator[, what is found])
# With the last a failure has to be of that kind.
MUTANTS = {
    "acknowledge-first": (
        "an append is acknowledged though its row may not be durable",
        "\tTRY(user_write(op, m->user, b));\n\ts->counters.append_commits++;",
        "\t(void)(user_write(op, m->user, b) == ERR_NONE);\n\ts->counters.append_commits++;", ()),
    "forget-doubts": (
        "a batch of unknown fate is not settled before the next one",
        "\t\tlist_add_last(&u->unsettled, &next->link);\n", "", ()),
    "modseq-goes-on": (
        "who takes over goes on with the modseqs that the rows show",
        "\treturn MAX(greatest, modseq_at(wall_us)) + step;", "\treturn greatest + (step > 0);", ()),
    "no-hole": (
        "nobody notes which modseqs may stand for lost flags",
        "\tif (!h->may_lose_flags || has_log)\n", "\tif (h || has_log)\n", ()),
    "trust-old-log": (
        "flags that wait in the log of a writer who was replaced are facts",
        "\t\tlocal_distrust(m);\n", "\t\t(void)0;\n", ()),
    "trust-other-boot": (
        "a log that survived a power loss in part passes for whole",
        "l->is_trusted = good.n == 0 && memcmp(header.boot_id, j->boot_id, sizeof(j->boot_id)) == 0;",
        "l->is_trusted = true;", ()),
    "gone-burns-nothing": (
        "the UIDs of mails that are gone are given again",
        "\t\tindex_raise(x, mark.uid < UINT32_MAX ? mark.uid + 1 : mark.uid, modseq);",
        "\t\tindex_raise(x, 0, modseq);", ()),
    "collect-copies": (
        "the collector looks for no copies",
        "\t\tis_used[i] = references > 0;\n", "\t\tis_used[i] = references > 1000;\n", ()),
    "copy-without-reverse": (
        "a copy has no reverse row of its own",
        "\tbatch_reference(t->batch, true, from->oid, t->target->guid, bucket, name);\n",
        "\tif (t->count > 1000)\n\t\tbatch_reference(t->batch, true, from->oid, t->target->guid, bucket, name);\n", ()),
    "first-flag-wins": (
        "of two changes of a flag the earlier stays",
        "if (stamp < known || (stamp == known && !is_set))",
        "if (known && (stamp > known || (stamp == known && !is_set)))", ()),
    "clock-alone": (
        "stamps follow the host's clock alone, not the names it has seen",
        "if (ms > clock->ms || (ms == clock->ms && counter > clock->counter)) {",
        "if (ms > clock->ms + (UINT64_C(1) << 40)) {", ()),
    "vanished-misses-one": (
        "who comes back is not told of the first expunge",
        "for (size_t i = low; i < count && t[i].modseq <= v->told_expunges; i++)",
        "for (size_t i = low + 1; i < count && t[i].modseq <= v->told_expunges; i++)", ()),
    "half-a-batch": (
        "rows of a batch count without its commit row",
        "\tif (whole) {\n\t\trow_append_encode(&resolved, &stored);",
        "\tif (whole && whole->count > 100000) {\n\t\trow_append_encode(&resolved, &stored);", ()),
    "settle-silently": (
        "what was settled later is not shown",
        "\t\tpublish(b); /* listed until all of it counts: others wait for that */\n", "", ()),
    "intent-left": (
        "a move that was interrupted stays as it is",
        "\tif (s.is_committed && !s.is_void && (his || !is_old)) {",
        "\tif (s.is_committed && t->own.bytes[0] > 200) {", ()),
    "subscription-order": (
        "the first change of a subscription wins",
        "\tif (stamp < s->stamp || (stamp == s->stamp && is_on == s->is_on))\n",
        "\tif (s->stamp > 0 && stamp > s->stamp)\n", ()),
    "told-too-early": (
        "an expunge is told while sequence numbers must stay",
        "\tif (may_expunge)\n\t\tv->told_expunges", "\tif (true)\n\t\tv->told_expunges", ()),
    "clock-not-noticed": (
        "a clock that was set is not compared before rows are written",
        "\treturn by_us > CLOCK_OFF_US / 2 || by_us < -CLOCK_OFF_US / 2;", "\treturn by_us == INT64_MIN;", ()),
    "heads-not-read-again": (
        "who raises his limit does not look whether another host did so at the same time",
        "\tTRY(user_read_heads(op, m->user));\n\tm->is_checked = mailbox_is_alone(m);",
        "\tm->is_checked = true;", ("--both",), "is given twice|is another mail|was w"),
    "failed-takeover-counts": (
        "UIDs are given though the tail could not be read",
        "\t\tm->must_take_over = m->must_take_over || takes_over;\n", "", ("--both",), "is given twice"),
    "appends-before-merges": (
        "a mail of another host is put where a view counts it, and then moved away",
        "\tfold_merges(m, &g->rows);\n", "", ("--both",), "client's numbers|is not UID"),
    "root-of-yesterday": (
        "a host that does not know the last names writes the root head",
        "\t\t\t\t: (int64_t)name_ms(h->head.cover) > u->tree_seen_ms - ROOT_CLOCK_MS)\n\t\t\treturn true;",
        "\t\t\t\t: (int64_t)name_ms(h->head.cover) > u->tree_seen_ms - ROOT_CLOCK_MS)\n\t\t\treturn false;",
        ("--both",), "were promised"),
    "merge-told-first": (
        "UIDs of merge rows are told though the rows are not durable",
        "\tif (b->count > 0)\n\t\te = user_write(op, m->user, b);\n\telse\n\t\tbatch_free(b);\n"
        "\t/* In doubt:",
        "\tif (b->count > 0 && g->fresh == 0)\n\t\te = user_write(op, m->user, b);\n\telse\n\t\tbatch_free(b);\n"
        "\t/* In doubt:", ("--both",)),
    "claim-of-yesterday": (
        "all claims of a process have the stamp of its first: once that was ended, they are none",
        "\tstore_stamp_changes(b->user->store, b->changes, b->count);\n}\n\n/* Of flags that",
        "\tstore_stamp_changes(b->user->store, b->changes, b->count);\n"
        "\tstatic struct { uint32_t writer; int64_t us; } first[4096];\n"
        "\tsize_t at = b->user->writer % 4096;\n"
        "\tfor (size_t i = 0; i < b->count; i++) {\n"
        "\t\tstruct catalog_change *change = &b->changes[i];\n"
        "\t\tif (change->kind != CATALOG_PUT_HEAD || !head_is_writer_key(change->key, &number) ||\n"
        "\t\t\tnumber != b->user->writer)\n"
        "\t\t\tcontinue;\n"
        "\t\tif (first[at].writer != number) {\n"
        "\t\t\tfirst[at].writer = number;\n"
        "\t\t\tfirst[at].us = change->stamp_us;\n"
        "\t\t}\n"
        "\t\tchange->stamp_us = first[at].us;\n"
        "\t}\n}\n\n/* Of flags that", ("--both",)),
    "claim-not-noticed": (
        "who was ended goes on with the claim that he had",
        "\t\tif (!m->is_claimed || has_own_open(u, m->guid))\n",
        "\t\tif (m)\n", ("--both",)),
    "base-without-a-look": (
        "who makes a base says that he looked for what others wrote, and did not",
        "\t\tTRY(mailbox_merge(op, m, false));\n\t}\n\tTRY(base_know_parts(op, m));\n",
        "\t\tm->seen_ms = now_wall_us() / US_PER_MS + STORE_TAIL_MS;\n\t}\n\tTRY(base_know_parts(op, m));\n",
        ("--both",)),
    "floor-below-limits": (
        "who takes over goes on above what others gave when they said so, not above what they may give",
        "h.limit_uid = MAX(h.limit_uid, head->limit_uid);", "h.limit_uid = MAX(h.limit_uid, head->next_uid);",
        ("--both",), "is given twice|is another mail|was w"),
    "counters-of-before": (
        "a closed head counts deleted mails as none",
        ".counters = { s.messages, s.unseen, s.deleted, s.recent, s.bytes_virtual },",
        ".counters = { s.messages, s.unseen, 0, s.recent, s.bytes_virtual },", ()),
}


def find_source(top, text):
    """The one file that has it."""
    found = [p for p in sorted((top / "src").rglob("*.c")) if not p.name.endswith("_test.c") and text in p.read_text()]
    if len(found) != 1:
        raise ValueError(f"the text stands in {len(found)} files: {text.strip()}")
    if found[0].read_text().count(text) != 1:
        raise ValueError(f"the text stands more than once in {found[0].name}: {text.strip()}")
    return found[0]


def compile_command(build, source):
    for entry in json.loads((build / "compile_commands.json").read_text()):
        if (build / entry["file"]).resolve() == source:
            words = shlex.split(entry["command"])
            out = words[words.index("-o") + 1]
            return [w for w in words if w not in ("-MD",)], out
    raise ValueError(f"{source.name} is not compiled")


def make(build, name, folder):
    """Builds the simulator with a mutant in it; its path."""
    _, text, instead, *_ = MUTANTS[name]
    source = find_source(TOP, text)
    changed = folder / f"{name}.c"
    changed.write_text(f'#line 1 "{source}"\n' + source.read_text().replace(text, instead))
    words, out = compile_command(build, source)
    words = [str(folder / f"{name}.o") if w == out else w for w in words]
    words[-1] = str(changed)
    words += ["-w", f"-I{source.parent}"]
    drop = [i for i, w in enumerate(words) if w in ("-MQ", "-MF")]
    words = [w for i, w in enumerate(words) if i not in drop and i - 1 not in drop]
    subprocess.run(words, cwd=build, check=True, capture_output=True, text=True)
    lines = subprocess.run(["ninja", "-C", build, "-t", "commands", "tests/sim/sim"], check=True,
                           capture_output=True, text=True).stdout.splitlines()
    link = shlex.split(lines[-1])
    at = link.index("-Wl,--start-group")
    link[at:at] = [str(folder / f"{name}.o")]
    link[link.index("-o") + 1] = str(folder / name)
    subprocess.run(link, cwd=build, check=True, capture_output=True, text=True)
    return folder / name


def hunt(args, name, folder):
    """(status, reason): ok if the simulator found the mutant."""
    try:
        program = make(args.build, name, folder)
    except (ValueError, subprocess.CalledProcessError) as e:
        return "not ok", f"cannot be made: {getattr(e, 'stderr', None) or e}"
    seeds = max(args.seeds, RARE.get(name, 0))
    kind = MUTANTS[name][4] if len(MUTANTS[name]) > 4 else ""
    command = [program, "--seeds", f"1..{seeds}", "--keep-going", *MUTANTS[name][3]]
    found = first_failure(command, kind)
    if not found:
        return "not ok", f"{seeds} seeds (or {LIMIT_S} s of them) found nothing: {MUTANTS[name][0]}"
    return "ok", found


def first_failure(command, kind):
    """The line of the first failure of that kind; None: there is none in all the seeds, or in the time."""
    sim = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, errors="replace")
    limit = threading.Timer(LIMIT_S, sim.kill)
    limit.start()
    try:
        return next((line for line in sim.stdout if "FAILED" in line and re.search(kind, line)), None)
    finally:
        limit.cancel()
        sim.kill()
        sim.wait()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--seeds", type=int, default=1500)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("names", nargs="*")
    args = parser.parse_args()
    args.build = args.build.resolve()
    names = args.names or list(MUTANTS)
    missed = 0
    with tempfile.TemporaryDirectory(prefix="pombal-mutants-") as folder, \
            concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        for name, (status, reason) in zip(names, pool.map(lambda n: hunt(args, n, pathlib.Path(folder)), names)):
            reason = reason.strip().replace("\n", " | ")
            print(f"{status} mutant-{name}" + (f" {reason}" if status != "ok" or sys.stdout.isatty() else ""), flush=True)
            missed += status != "ok"
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
