/* SPDX-License-Identifier: Apache-2.0 */
/* service/lmtp/test_certificate.h - a certificate for localhost that signs itself, for *_test.c alone. Its
 * key is public: it protects nothing. */
#pragma once

/* clang-format off */
#define TEST_CERTIFICATE \
	"-----BEGIN CERTIFICATE-----\n" \
	"MIIBqTCCAU6gAwIBAgIUVdHohUte9F5Svc7i9Pw/sDuii40wCgYIKoZIzj0EAwIw\n" \
	"FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyMjA0NDU0MloYDzIxMjYxMDI5\n" \
	"MDQ0NTQyWjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO\n" \
	"PQMBBwNCAAQzBAlZHIrfPmOpOt965vYwBNU55BVsqIKa6yqQqgDKwdkyJnV0hgOG\n" \
	"d0/FYE+AtdReJGiPNSLGoc6nfoKZSNiPo3wwejAdBgNVHQ4EFgQUi2KtGbFZsWRJ\n" \
	"VXSkO8//xeBc/qAwHwYDVR0jBBgwFoAUi2KtGbFZsWRJVXSkO8//xeBc/qAwDwYD\n" \
	"VR0TAQH/BAUwAwEB/zAnBgNVHREEIDAegglsb2NhbGhvc3SCEWxtdHAuZXhhbXBs\n" \
	"ZS50ZXN0MAoGCCqGSM49BAMCA0kAMEYCIQCw8zFD1M1aOBjYt7ANuyoJVPrADWdp\n" \
	"R8SpSwG2tFMF0wIhAON5rmNlCA0mgQSLMl5huVcocC+LbWgA5FfqiGud+4i+\n" \
	"-----END CERTIFICATE-----\n"
#define TEST_KEY \
	"-----BEGIN PRIVATE KEY-----\n" \
	"MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgxbRkUHOdzkA4Mdos\n" \
	"KMFNLU5uk1yBzQ155SLc4Ly115uhRANCAAQzBAlZHIrfPmOpOt965vYwBNU55BVs\n" \
	"qIKa6yqQqgDKwdkyJnV0hgOGd0/FYE+AtdReJGiPNSLGoc6nfoKZSNiP\n" \
	"-----END PRIVATE KEY-----\n"
/* clang-format on */
