/* SPDX-License-Identifier: Apache-2.0 */
/* crypto/ec_test_keys.h - keys for tests, made with openssl genpkey; they open nothing else. */
#pragma once

/* clang-format off */
#define EC_TEST_PASSWORD "secret"
#define EC_TEST_P256 \
	"-----BEGIN PRIVATE KEY-----\n" \
	"MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgp3TAH3VPselSTKrc\n" \
	"Z39mwToGjKl5SXCiQASPhG+kn16hRANCAAQDL6vpRUs2DhEbcoAQjpHjp9AB3IcN\n" \
	"f3ppCrRj7jlgk/f/zQZLhzPW4hhs/8keI46DwRhe2A7U4GgHHybRXBi3\n" \
	"-----END PRIVATE KEY-----\n"
#define EC_TEST_P521 \
	"-----BEGIN PRIVATE KEY-----\n" \
	"MIHuAgEAMBAGByqGSM49AgEGBSuBBAAjBIHWMIHTAgEBBEIAZSmWNa681A5JvnFm\n" \
	"1P4T0g/BpVh+LjMQVW5fYyAWdSbIU5XzmU8n/RZU9KD8B07fe+CmfwbBUwKHSFme\n" \
	"L4tiDYehgYkDgYYABAFfU1E/BRHqn75Lk767mRuo+icWVppB1cYMPCOWFkBJOZ58\n" \
	"1rmcBWbyo6jTodBEpp5g/IHhOrmbGxN1so8AsldRhwAjYtsD/hn1nbHa60BRG6XD\n" \
	"h6wxQINo4Zdidqg04jVJImvH2r1J9hTlW18bYk1bLJEYfPn8czBMBfUYXDJvfwkj\n" \
	"Bg==\n" \
	"-----END PRIVATE KEY-----\n"
#define EC_TEST_X25519 \
	"-----BEGIN PRIVATE KEY-----\n" \
	"MC4CAQAwBQYDK2VuBCIEIEBda7R0wHNgPyxadlKzd23sK89YiOjTW1T+d9DKeMZG\n" \
	"-----END PRIVATE KEY-----\n"
#define EC_TEST_P256_ENCRYPTED \
	"-----BEGIN ENCRYPTED PRIVATE KEY-----\n" \
	"MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAgHs4S1TiWGoAICCAAw\n" \
	"DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEGWTUQtzKzaSpK0Hv7EK8+oEgZDS\n" \
	"gggW8LePGh3s5vTB7O7bmTl00Ps1vD6wN4OxqOSh5CStneGhvF19XVD6fjE1P+9Q\n" \
	"oB2WJkc/vhap4/8KwfPEGMlgoahsgfcmAA5yn5zH5BemgZpWrnuA6qioArRKQwfJ\n" \
	"62CXPDaNYA78cWt8U5JFOnM07sTVcWI6Uy/yjxr6PouK8ISHr4gZ5eg1YuTlPGQ=\n" \
	"-----END ENCRYPTED PRIVATE KEY-----\n"
#define EC_TEST_P256_PUBLIC \
	"-----BEGIN PUBLIC KEY-----\n" \
	"MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEAy+r6UVLNg4RG3KAEI6R46fQAdyH\n" \
	"DX96aQq0Y+45YJP3/80GS4cz1uIYbP/JHiOOg8EYXtgO1OBoBx8m0VwYtw==\n" \
	"-----END PUBLIC KEY-----\n"
#define EC_TEST_X25519_PUBLIC \
	"-----BEGIN PUBLIC KEY-----\n" \
	"MCowBQYDK2VuAyEAsimTanZ2u2VB5kQ4kRb67qE6rmMVnKkhc9w7wmj7CC0=\n" \
	"-----END PUBLIC KEY-----\n"
#define EC_TEST_RSA_PUBLIC \
	"-----BEGIN PUBLIC KEY-----\n" \
	"MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQCj7PVRDYSCn+8Y2zESG2QeRgJK\n" \
	"zYNYlrN4mtqreAYqOpQRpF6sZo0PshK9E7gcYQN1LmUtXrQwrF0TzrnmAgyQwAlf\n" \
	"npPXYIk3Pmd2WRb7kawqZdYCt8kpvQGIOswgL1M2F1cm+dNDEMwzcuaxoUg75A1s\n" \
	"RRQDPYdeP5bKhBihUQIDAQAB\n" \
	"-----END PUBLIC KEY-----\n"
/* clang-format on */
