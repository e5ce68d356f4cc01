# SPDX-License-Identifier: Apache-2.0
"""gdb command "tasks": every task of every loop of the process, with the backtrace of the suspended
ones. Works on a live process and on a core file:

    gdb -p PID -x tools/gdb/tasks.py -ex tasks
    gdb build/pombal core -x tools/gdb/tasks.py -ex tasks

"tasks NAME" shows only tasks whose name, user or what they are doing contains NAME. Walks the chain
of frame pointers in memory (the house builds with them always), so it needs no registers.
Layout of a suspended stack: src/task/switch_*.S and context_private.h."""
import gdb

# Words above the saved stack pointer where the frame pointer and the return address lie.
SAVED = {"x86-64": (6, 7), "aarch64": (0, 1)}
FRAMES_MAX = 64


def word_at(address):
    pointer = gdb.lookup_type("unsigned long").pointer()
    return int(gdb.Value(address).cast(pointer).dereference())


def text_of(s):
    """A struct str."""
    n = int(s["n"])
    return s["p"].string(length=min(n, 200), errors="replace") if n else ""


def list_members(head, type_name, member):
    """The structs in an intrusive struct list."""
    struct = gdb.lookup_type("struct " + type_name)
    offset = next(f.bitpos // 8 for f in struct.fields() if f.name == member)
    node = head["next"]
    while int(node) != int(head.address):
        yield gdb.Value(int(node) - offset).cast(struct.pointer()).dereference()
        node = node["next"]


def function_names(pc):
    """The function at pc, and those it is inlined into."""
    names = []
    block = gdb.block_for_pc(pc)
    while block is not None and not block.is_static and not block.is_global:
        if block.function and block.function.name not in names:
            names.append(block.function.name)
        block = block.superblock
    if not names:
        symbol = gdb.execute("info symbol %#x" % pc, to_string=True)
        names.append("??" if symbol.startswith("No symbol") else symbol.split()[0])
    return " inlined into ".join(names)


def print_frames(task, arch):
    sp = int(task["context"]["sp"])
    low = int(task["stack"]["base"])
    high = low + int(task["stack"]["bytes"])
    fp_word, pc_word = SAVED[arch]
    fp, pc = word_at(sp + 8 * fp_word), word_at(sp + 8 * pc_word)
    for number in range(FRAMES_MAX):
        if not pc:
            break
        line = gdb.find_pc_line(pc - 1)
        where = "%s:%d" % (line.symtab.filename, line.line) if line.symtab else "?"
        print("  #%-2d %s () at %s" % (number, function_names(pc - 1), where))
        if not low <= fp < high:
            break
        fp, pc = word_at(fp), word_at(fp + 8)


def print_task(task, arch, wanted):
    name = task["name"].string()
    user, doing = text_of(task["user"]), text_of(task["doing"])
    if wanted and not any(wanted in s for s in (name, user, doing)):
        return
    state = str(task["state"]).replace("TASK_", "").lower()
    about = "".join(" %s=%s" % (k, v) for k, v in (("user", user), ("doing", doing)) if v)
    print("task %s serial %d %s%s%s" % (name, int(task["serial"]), state,
                                        " cancelled" if task["is_cancelled"] else "", about))
    if state not in ("ready", "waiting") or not any(f.name == "sp" for f in task["context"].type.fields()):
        return  # running: its frames are the thread's; queued: never ran
    if int(task["stack"]):
        print_frames(task, arch)


class Tasks(gdb.Command):
    """tasks [NAME]: the tasks of all loops, with backtraces of the suspended ones."""

    def __init__(self):
        super().__init__("tasks", gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        arch = gdb.execute("show architecture", to_string=True)
        arch = "aarch64" if "aarch64" in arch else "x86-64"
        loop = gdb.parse_and_eval("loop_list")
        if not int(loop):
            print("no loop is open")
        while int(loop):
            stats = loop["stats"]
            print("loop %#x: %d tasks, %d of them queued" % (
                int(loop), int(stats["tasks_live"]), int(stats["tasks_queued"])))
            for task in list_members(loop["tasks"], "task", "all"):
                print_task(task, arch, argument.strip())
            loop = loop["next"]


Tasks()
