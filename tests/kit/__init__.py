# SPDX-License-Identifier: Apache-2.0
"""What the tests share: instances, protocol clients, mails, outside tools."""
