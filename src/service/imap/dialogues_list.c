/* SPDX-License-Identifier: Apache-2.0 */
/* Dialogues about LIST and LSUB. */
#include "service/imap/dialogue.h"

/* The mailboxes of RFC 5258 §5, example 1, with the subscriptions of example 2. */
#define FRUIT                                                                                      \
	"A! 1 CREATE Fruit|2 CREATE Fruit/Apple|3 CREATE Fruit/Banana|4 CREATE Tofu|"              \
	"5 CREATE Vegetable|6 CREATE Vegetable/Broccoli|7 CREATE Vegetable/Corn|"                  \
	"8 CREATE Fruit/Peach\n"                                                                   \
	"A< 1 OK ..\nA< 2 OK ..\nA< 3 OK ..\nA< 4 OK ..\nA< 5 OK ..\nA< 6 OK ..\nA< 7 OK ..\n"     \
	"A< 8 OK ..\n"                                                                             \
	"A! 1 SUBSCRIBE Fruit/Banana|2 SUBSCRIBE Fruit/Peach|3 SUBSCRIBE Vegetable|"               \
	"4 SUBSCRIBE Vegetable/Broccoli|5 DELETE Fruit/Peach\n"                                    \
	"A< 1 OK ..\nA< 2 OK ..\nA< 3 OK ..\nA< 4 OK ..\nA< 5 OK ..\n"

const struct dialogue dialogues_list[] = {
	{ "RFC 3501 §6.3.8: an empty pattern asks for the separator",
		"A> LIST \"\" \"\"\n"
		"A< * LIST (\\Noselect) \"/\" \"\"\n"
		"A< $ OK List completed.\n"
		"A> LSUB \"\" \"\"\n"
		"A< * LSUB (\\Noselect) \"/\" \"\"\n"
		"A< $ OK ..\n" },
	{ "RFC 3501 §6.3.8: % stays on its level, the reference stands before",
		FRUIT "A> LIST \"\" %\n"
		      "A< * LIST (\\HasNoChildren) \"/\" INBOX\n"
		      "A< * LIST (\\HasChildren) \"/\" Fruit\n"
		      "A< * LIST (\\HasNoChildren) \"/\" Tofu\n"
		      "A< * LIST (\\HasChildren) \"/\" Vegetable\n"
		      "A< $ OK ..\n"
		      "A> LIST Fruit/ %\n"
		      "A< * LIST (\\HasNoChildren) \"/\" Fruit/Apple\n"
		      "A< * LIST (\\HasNoChildren) \"/\" Fruit/Banana\n"
		      "A< $ OK ..\n"
		      "A> LIST Fruit/ /Tofu\n"
		      "A< * LIST (\\HasNoChildren) \"/\" Tofu\n"
		      "A< $ OK ..\n"
		      "A> LIST \"\" \"%/*r*\"\n"
		      "A< * LIST (\\HasNoChildren) \"/\" Vegetable/Broccoli\n"
		      "A< * LIST (\\HasNoChildren) \"/\" Vegetable/Corn\n"
		      "A< $ OK ..\n" },
	{ "RFC 3501 §6.3.8: INBOX in any case", "A> LIST \"\" inbox\n"
						"A< * LIST (\\HasNoChildren) \"/\" INBOX\n"
						"A< $ OK ..\n"
						"A> LIST \"\" inb%\n"
						"A< * LIST (\\HasNoChildren) \"/\" INBOX\n"
						"A< $ OK ..\n" },
	{ "RFC 3501 §6.3.8: no match and patterns that mean nothing", "A> LIST \"\" nowhere*\n"
								      "A< $ OK ..\n"
								      "A> LIST \"\" &&\n"
								      "A< $ OK ..\n"
								      "A> LIST \"\"\n"
								      "A< $ BAD ..\n" },
	{ "RFC 3501 §6.3.9: LSUB shows a parent of subscribed names as \\Noselect",
		FRUIT "A> LSUB \"\" %\n"
		      "A< * LSUB () \"/\" INBOX\n"
		      "A< * LSUB (\\Noselect) \"/\" Fruit\n"
		      "A< * LSUB () \"/\" Vegetable\n"
		      "A< $ OK ..\n"
		      "A> LSUB \"\" *\n"
		      "A< * LSUB () \"/\" INBOX\n"
		      "A< * LSUB () \"/\" Fruit/Banana\n"
		      "A< * LSUB () \"/\" Fruit/Peach\n"
		      "A< * LSUB () \"/\" Vegetable\n"
		      "A< * LSUB () \"/\" Vegetable/Broccoli\n"
		      "A< $ OK ..\n" },
	{ "RFC 5258 §5, example 2: SUBSCRIBED",
		FRUIT "A> LIST (SUBSCRIBED) \"\" *\n"
		      "A< * LIST (\\Subscribed) \"/\" INBOX\n"
		      "A< * LIST (\\Subscribed) \"/\" Fruit/Banana\n"
		      "A< * LIST (\\Subscribed \\NonExistent) \"/\" Fruit/Peach\n"
		      "A< * LIST (\\Subscribed) \"/\" Vegetable\n"
		      "A< * LIST (\\Subscribed) \"/\" Vegetable/Broccoli\n"
		      "A< $ OK ..\n" },
	{ "RFC 5258 §5, example 3: CHILDREN", FRUIT "A> LIST () \"\" % RETURN (CHILDREN)\n"
						    "A< * LIST (\\HasNoChildren) \"/\" INBOX\n"
						    "A< * LIST (\\HasChildren) \"/\" Fruit\n"
						    "A< * LIST (\\HasNoChildren) \"/\" Tofu\n"
						    "A< * LIST (\\HasChildren) \"/\" Vegetable\n"
						    "A< $ OK ..\n" },
	{ "RFC 5258 §5, example 6: REMOTE and RETURN (SUBSCRIBED)",
		FRUIT "A> LIST (REMOTE) \"\" * RETURN (SUBSCRIBED)\n"
		      "A< * LIST (\\Subscribed) \"/\" INBOX\n"
		      "A< * LIST () \"/\" Fruit\n"
		      "A< * LIST () \"/\" Fruit/Apple\n"
		      "A< * LIST (\\Subscribed) \"/\" Fruit/Banana\n"
		      "A< * LIST () \"/\" Tofu\n"
		      "A< * LIST (\\Subscribed) \"/\" Vegetable\n"
		      "A< * LIST (\\Subscribed) \"/\" Vegetable/Broccoli\n"
		      "A< * LIST () \"/\" Vegetable/Corn\n"
		      "A< $ OK ..\n" },
	{ "RFC 5258 §5, example 7: several patterns, no name twice",
		FRUIT "A> LIST \"\" (INBOX Tofu \"T*\" \"\" Fruit/%)\n"
		      "A< * LIST () \"/\" INBOX\n"
		      "A< * LIST () \"/\" Fruit/Apple\n"
		      "A< * LIST () \"/\" Fruit/Banana\n"
		      "A< * LIST () \"/\" Tofu\n"
		      "A< $ OK ..\n" },
	{ "RFC 5258 §5, example 8: RECURSIVEMATCH tells of what is below",
		FRUIT "A> LIST (RECURSIVEMATCH SUBSCRIBED) \"\" %\n"
		      "A< * LIST (\\Subscribed) \"/\" INBOX\n"
		      "A< * LIST () \"/\" Fruit (\"CHILDINFO\" (\"SUBSCRIBED\"))\n"
		      "A< * LIST (\\Subscribed) \"/\" Vegetable (\"CHILDINFO\" (\"SUBSCRIBED\"))\n"
		      "A< $ OK ..\n" },
	{ "RFC 5258 §5, example 9: CHILDINFO only for what is not listed itself",
		"A> CREATE Foo/Bar/Baz\n"
		"A< $ OK ..\n"
		"A> SUBSCRIBE Foo/Bar/Baz\n"
		"A< $ OK ..\n"
		"A> LIST (SUBSCRIBED RECURSIVEMATCH) \"\" \"Foo/%\"\n"
		"A< * LIST (\\NonExistent \\HasChildren) \"/\" Foo/Bar (\"CHILDINFO\" "
		"(\"SUBSCRIBED\"))\n"
		"A< $ OK ..\n"
		"A> LIST (SUBSCRIBED RECURSIVEMATCH) \"\" \"Foo*\"\n"
		"A< * LIST (\\Subscribed) \"/\" Foo/Bar/Baz\n"
		"A< $ OK ..\n" },
	{ "RFC 5258 §5, example 11: a parent that does not exist",
		"A> CREATE music/rock\n"
		"A< $ OK ..\n"
		"A> LIST () \"\" %\n"
		"A< * LIST () \"/\" INBOX\n"
		"A< * LIST (\\NonExistent \\HasChildren) \"/\" music\n"
		"A< $ OK ..\n" },
	{ "RFC 5258 §3: an extended LIST takes an empty pattern as it stands",
		"A> LIST () \"\" \"\"\n"
		"A< $ OK ..\n"
		"A> LIST \"\" \"\" RETURN ()\n"
		"A< $ OK ..\n" },
	{ "RFC 5258 §3.1: options that are BAD",
		"A> LIST (RECURSIVEMATCH) \"\" *\n"
		"A< $ BAD ..RECURSIVEMATCH must not be the only selection.\n"
		"A> LIST (RECURSIVEMATCH REMOTE) \"\" *\n"
		"A< $ BAD ..\n"
		"A> LIST (COLOUR) \"\" *\n"
		"A< $ BAD ..\n"
		"A> LIST \"\" * RETURN (COLOUR)\n"
		"A< $ BAD ..\n"
		"A> LSUB (SUBSCRIBED) \"\" *\n"
		"A< $ BAD ..\n" },
	{ "RFC 6154 §2: SPECIAL-USE as selection and as return option",
		"A> CREATE Mail/Out (USE (\\Sent))\n"
		"A< $ OK ..\n"
		"A> CREATE Bin (USE (\\Trash))\n"
		"A< $ OK ..\n"
		"A> LIST (SPECIAL-USE) \"\" *\n"
		"A< * LIST (\\Trash) \"/\" Bin\n"
		"A< * LIST (\\Sent) \"/\" Mail/Out\n"
		"A< $ OK ..\n"
		"A> LIST \"\" % RETURN (SPECIAL-USE)\n"
		"A< * LIST () \"/\" INBOX\n"
		"A< * LIST (\\Trash) \"/\" Bin\n"
		"A< * LIST (\\NonExistent \\HasChildren) \"/\" Mail\n"
		"A< $ OK ..\n"
		"A> LIST (SPECIAL-USE RECURSIVEMATCH) \"\" %\n"
		"A< * LIST (\\Trash) \"/\" Bin\n"
		"A< * LIST (\\NonExistent \\HasChildren) \"/\" Mail (\"CHILDINFO\" "
		"(\"SPECIAL-USE\"))\n"
		"A< $ OK ..\n"
		"A> LIST (SPECIAL-USE SUBSCRIBED) \"\" *\n"
		"A< $ OK ..\n" },
	{ "RFC 5819 §2: RETURN (STATUS)", "A> CREATE a/b\n"
					  "A< $ OK ..\n"
					  "A> APPEND a/b <<Subject: x||x|>>\n"
					  "A< $ OK ..\n"
					  "A> LIST \"\" * RETURN (STATUS (MESSAGES UNSEEN))\n"
					  "A< * LIST () \"/\" INBOX\n"
					  "A< * STATUS INBOX (MESSAGES 0 UNSEEN 0)\n"
					  "A< * LIST (\\NonExistent \\HasChildren) \"/\" a\n"
					  "A< * LIST () \"/\" a/b\n"
					  "A< * STATUS a/b (MESSAGES 1 UNSEEN 1)\n"
					  "A< $ OK ..\n" },
	{ "RFC 5819 §2: no STATUS of what is subscribed only",
		FRUIT "A> LIST (SUBSCRIBED) \"\" Fruit/% RETURN (STATUS (MESSAGES))\n"
		      "A< * LIST (\\Subscribed) \"/\" Fruit/Banana\n"
		      "A< * STATUS Fruit/Banana (MESSAGES 0)\n"
		      "A< * LIST (\\Subscribed \\NonExistent) \"/\" Fruit/Peach\n"
		      "A< $ OK ..\n" },
	{ 0 },
};
