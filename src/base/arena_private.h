/* SPDX-License-Identifier: Apache-2.0 */
/* base/arena_private.h - is AddressSanitizer there? Asked by arena.c and its test. */
#pragma once

#if defined(__SANITIZE_ADDRESS__) /* gcc */
#define HAVE_ASAN 1
#elif defined(__has_feature) /* clang */
#if __has_feature(address_sanitizer)
#define HAVE_ASAN 1
#endif
#endif

#ifdef HAVE_ASAN
#include <sanitizer/asan_interface.h>
#endif
