# SPDX-License-Identifier: Apache-2.0
# tools/packages.sh - Debian packages that ./run and ./test need; sourced by both.

# What building and serving takes.
run_packages="gcc libc6-dev meson ninja-build pkg-config python3 openssl ca-certificates
	libssl-dev libsqlite3-dev libzstd-dev libcrypt-dev libargon2-dev libicu-dev libseccomp-dev
	libcurl4-openssl-dev libexpat1-dev libjansson-dev liblz4-dev zlib1g-dev libbz2-dev"

# What the tests take besides: the second compiler, checkers, and real clients.
test_packages="clang clang-format clang-tidy libclang-rt-14-dev libcmocka-dev gdb valgrind
	gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user
	curl gsasl isync libsasl2-modules mutt swaks nodejs npm procps git file
	openjdk-17-jre-headless maven"

# install_packages NAME...: installs those that are missing, and says so.
install_packages() {
	local missing=() name
	if ! command -v dpkg-query >/dev/null; then
		echo "This is no Debian: please have these installed: $*" >&2
		return 0
	fi
	for name in "$@"; do
		package_is_there "$name" || missing+=("$name")
	done
	[ ${#missing[@]} -gt 0 ] || return 0
	echo "==> Installing Debian packages: ${missing[*]}"
	local as_root=()
	if [ "$(id -u)" != 0 ]; then
		command -v sudo >/dev/null || {
			echo "Neither root nor sudo: please install them yourself." >&2
			return 1
		}
		as_root=(sudo)
	fi
	export DEBIAN_FRONTEND=noninteractive
	quietly "${as_root[@]}" apt-get update
	quietly "${as_root[@]}" apt-get install -y --no-install-recommends "${missing[@]}"
}

# Another build of the same program counts (nodejs of another origin brings its own npm).
package_is_there() {
	case $1 in
	nodejs) command -v node >/dev/null && return 0 ;;
	npm) command -v npm >/dev/null && return 0 ;;
	openjdk-17-jre-headless) command -v java >/dev/null && return 0 ;;
	maven) command -v mvn >/dev/null && return 0 ;;
	esac
	[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# quietly COMMAND...: shows its output only when it fails.
quietly() {
	local log
	log=$(mktemp)
	if ! "$@" >"$log" 2>&1; then
		cat "$log" >&2
		rm -f "$log"
		echo "Failed: $*" >&2
		return 1
	fi
	rm -f "$log"
}
