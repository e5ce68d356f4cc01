/* SPDX-License-Identifier: Apache-2.0 */
/* Where a connection stands: which settings are its own, and what it may do. Spec: sheet core §7.2. */
#include "service/login/login_private.h"

static bool needs_tls(const struct login_connection *c)
{
	return config_is(c->scope, SET_ssl, STR("required"));
}

bool login_is_tls(const struct login_connection *c)
{
	return c->is_tls_proxied || (c->stream && stream_is_tls(c->stream));
}

bool login_is_trusted(const struct login_connection *c)
{
	AUTO_ARENA(arena, 0);
	/* Who spoke for his client was trusted, or he would not have been heard. */
	return c->is_forwarded || config_networks_have(c->scope, SET_login_trusted_networks,
					  address_dup(&arena, &c->remote));
}

static bool is_local(const struct login_connection *c)
{
	return c->remote.family == 0 || address_is_loopback(&c->remote);
}

void login_take_place(struct login_connection *c)
{
	AUTO_ARENA(arena, 0);
	struct config_place place = {
		.protocol = c->door.protocol,
		.local_ip = address_dup(&arena, &c->local),
		.local_name = str_from(c->server_name),
		.remote_ip = address_dup(&arena, &c->remote),
	};
	c->scope = config_scope(c->config, &place);
	bool is_hidden = login_is_tls(c);
	if (!is_hidden && !needs_tls(c))
		is_hidden = login_is_trusted(c) || c->door.has_proxy_header;
	c->is_secured = is_hidden || is_local(c);
	event_set_str(c->event, "remote_ip", place.remote_ip);
	event_set_int(c->event, "remote_port", c->remote.port);
}

bool login_may_authenticate(const struct login_connection *c)
{
	return login_is_tls(c) || !needs_tls(c);
}

bool login_may_use_cleartext(const struct login_connection *c)
{
	return login_may_authenticate(c) &&
	       (c->is_secured || config_bool(c->scope, SET_auth_allow_cleartext));
}

bool login_has_certificate(const struct login_connection *c)
{
	enum tls_peer peer = stream_tls_peer(c->stream);
	if (peer == TLS_PEER_VERIFIED || c->proxied_user)
		return true;
	return peer == TLS_PEER_UNVERIFIED &&
	       config_is(c->scope, SET_ssl_server_request_client_cert, STR("any-cert"));
}

bool login_offers(const struct login_connection *c, struct str mechanism)
{
	uint8_t binding[TLS_BINDING_BYTES];
	if (!login_may_authenticate(c) || !auth_mechanism_offered(c->scope, mechanism,
						  c->is_secured, login_has_certificate(c)))
		return false;
	return !str_ends(mechanism, STR("-PLUS")) || stream_tls_binding(c->stream, binding);
}
