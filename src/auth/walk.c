/* SPDX-License-Identifier: Apache-2.0 */
/* What one database's outcome means for the chain: the result machine of core §6.4.
 *
 *   rule           after success                    after failure or internal failure
 *   return-ok      stop, success                    stop, success
 *   return         stop                             stop
 *   return-fail    stop, failed                     stop, failed
 *   continue       next, the password counts        next
 *   continue-ok    next, success, password counts   next, success
 *   continue-fail  next, failed, verify again       next, failed, verify again */
#include "auth/auth_private.h"

void auth_walk_apply(
	struct auth_walk *w, enum auth_rule rule, enum auth_outcome outcome, bool *is_verified)
{
	bool is_success = outcome == OUTCOME_SUCCESS;
	if (outcome == OUTCOME_INTERNAL)
		w->has_internal_failure = true;
	switch (rule) {
	case RULE_RETURN_OK:
		w->is_success = w->is_over = true;
		return;
	case RULE_RETURN:
		w->is_over = true;
		return;
	case RULE_RETURN_FAIL:
		w->is_success = false;
		w->is_over = true;
		return;
	case RULE_CONTINUE:
		*is_verified = *is_verified || is_success;
		return;
	case RULE_CONTINUE_OK:
		w->is_success = true;
		*is_verified = *is_verified || is_success;
		return;
	case RULE_CONTINUE_FAIL:
		w->is_success = *is_verified = false;
		return;
	}
	UNREACHABLE();
}
