# SPDX-License-Identifier: Apache-2.0
"""Tests of several backends with the same mails."""
