/* SPDX-License-Identifier: Apache-2.0 */
/* How every process opens its log: from settings to event/event.h. Spec: sheet core §10. */
#include "main/log_settings.h"

#include "base/file.h"
#include "event/event.h"
#include "main/role.h"

/* auth_debug and mail_debug are short for filters. */
static struct str debug_filter(struct arena *arena, const struct config_scope *global)
{
	struct str given = config_str(global, SET_log_debug);
	AUTO_BUF(text, 0);
	if (str_trim(given).n > 0)
		buf_putf(&text, "(%.*s)", STRF(given));
	if (config_bool(global, SET_auth_debug))
		buf_putf(&text, "%scategory=auth", text.n > 0 ? " OR " : "");
	if (config_bool(global, SET_mail_debug))
		buf_putf(&text, "%scategory=imap OR category=lmtp OR category=storage",
			text.n > 0 ? " OR " : "");
	return buf_dup(arena, &text);
}

struct event_log_settings log_settings_read(struct arena *arena, struct config *config)
{
	const struct config_scope *global = config_scope(config, NULL);
	return (struct event_log_settings){
		.path = config_str(global, SET_log_path),
		.info_path = config_str(global, SET_info_log_path),
		.debug_path = config_str(global, SET_debug_log_path),
		.timestamp = config_str(global, SET_log_timestamp),
		.ident = config_str(global, SET_instance_name),
		.facility = config_str(global, SET_syslog_facility),
		.is_json = config_is(global, SET_log_format, STR("json")),
		.debug_filter = debug_filter(arena, global),
		.core_filter = config_str(global, SET_log_core_filter),
		.ring_path = str_printf(
			arena, "%.*s/log-errors", STRF(config_str(global, SET_base_dir))),
	};
}

enum err role_open_log(struct op *op, struct config *config, struct str process_name)
{
	struct str base_dir = config_str(config_scope(config, NULL), SET_base_dir);
	struct event_log_settings settings = log_settings_read(op->arena, config);
	event_log_set_process(process_name);
	/* The master comes here before anything else makes it; without it lines are not kept. */
	if (file_make_dirs(op, str_dup_z(op->arena, base_dir), 0755) != ERR_NONE)
		op_forgive(op);
	return event_log_configure(op, &settings);
}
