/* SPDX-License-Identifier: Apache-2.0 */
/* Who goes first. */
#include "base/number.h"
#include "store/cache/cache.h"

#define BOOST_MAX_S (INT64_C(100) * 365 * 86400)

/* ---- the settings ---- */

static bool cut_unit(
	struct str *rest, const char *letters, const uint64_t *factors, uint64_t *value)
{
	if (rest->n == 0)
		return true;
	for (size_t i = 0; letters[i]; i++)
		if (ascii_lower(rest->p[0]) == letters[i]) {
			(void)str_take(rest, 1);
			return !__builtin_mul_overflow(*value, factors[i], value);
		}
	return false;
}

static bool parse_boost(struct str word, int64_t *out)
{
	static const uint64_t factors[] = { 1, 60, 3600, 86400, 7 * 86400 };
	uint64_t value;
	(void)str_skip(&word, STR("+"));
	if (!number_cut_u64(&word, &value) || !cut_unit(&word, "smhdw", factors, &value) ||
		word.n > 0 || value > (uint64_t)BOOST_MAX_S)
		return false;
	*out = (int64_t)value;
	return true;
}

static bool parse_size(struct str word, uint64_t *out)
{
	static const uint64_t factors[] = { 1, 1 << 10, 1 << 20, 1 << 30, UINT64_C(1) << 40 };
	return number_cut_u64(&word, out) && cut_unit(&word, "bkmgt", factors, out) && word.n == 0;
}

static bool parse_percent(struct str word, uint32_t *out)
{
	return number_cut_u32(&word, out) && str_eq(word, STR("%")) && *out <= 100;
}

static bool parse_priorities(struct str text, struct cache_weights *w)
{
	struct str word;
	for (int p = 0; p < CACHE_PRIORITIES; p++) {
		if (!str_cut_word(&text, &word) || !parse_percent(word, &w->percent[p]) ||
			!str_cut_word(&text, &word) || !parse_boost(word, &w->boost_s[p]))
			return false;
	}
	return !str_cut_word(&text, &word);
}

static bool parse_sizes(struct str text, struct cache_weights *w)
{
	struct str word;
	return str_cut_word(&text, &word) && parse_size(word, &w->low_bytes) &&
	       str_cut_word(&text, &word) && parse_boost(word, &w->low_boost_s) &&
	       str_cut_word(&text, &word) && parse_size(word, &w->high_bytes) &&
	       str_cut_word(&text, &word) && parse_boost(word, &w->high_boost_s) &&
	       !str_cut_word(&text, &word) && w->low_bytes > 0 && w->low_bytes < w->high_bytes;
}

enum err cache_weights_parse(
	struct op *op, struct str priorities, struct str sizes, struct cache_weights *out)
{
	struct cache_weights w = { .has_priorities = str_trim(priorities).n > 0,
		.has_sizes = str_trim(sizes).n > 0 };
	if (w.has_priorities && !parse_priorities(priorities, &w))
		return op_fail(op, ERR_INVALID,
			"metacache_priority_weights: \"%.*s\" is not four pairs like %s",
			STRF(priorities), CACHE_PRIORITY_WEIGHTS);
	if (w.has_sizes && !parse_sizes(sizes, &w))
		return op_fail(op, ERR_INVALID,
			"metacache_size_weights: \"%.*s\" is not two rising pairs like %s",
			STRF(sizes), CACHE_SIZE_WEIGHTS);
	*out = w;
	return ERR_NONE;
}

/* ---- weights ---- */

static int64_t share(uint64_t part, uint64_t whole, int64_t of)
{
	return (int64_t)((double)part / (double)whole * (double)of + 0.5);
}

int64_t cache_size_boost(const struct cache_weights *w, uint64_t bytes)
{
	if (!w->has_sizes)
		return 0;
	if (bytes <= w->low_bytes)
		return share(w->low_bytes - bytes, w->low_bytes, w->low_boost_s);
	uint64_t above = MIN(bytes, w->high_bytes) - w->low_bytes;
	return share(above, w->high_bytes - w->low_bytes, w->high_boost_s);
}

int64_t cache_weight(const struct cache_weights *w, enum cache_priority p,
	const struct cache_unit *unit, uint64_t total_bytes, uint64_t max_bytes)
{
	int64_t weight = unit->access_s;
	if (w->has_priorities &&
		(double)total_bytes * 100 <= (double)max_bytes * (double)w->percent[p])
		weight += w->boost_s[p];
	return weight + cache_size_boost(w, unit->bytes);
}
