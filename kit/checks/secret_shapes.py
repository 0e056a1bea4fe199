"""The well-known shapes of tokens, keys and passwords, and what only looks like one.

Sources of the shapes: what the services say of their own tokens (GitHub's "Behind GitHub's new authentication token
formats", AWS's IAM identifiers, GitLab's token overview, Slack's token types, Google's API keys), RFC 7468 (keys),
7519 (JWT) and 6750 (bearer).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

__all__ = ["secret_kinds"]

FEWEST_CHARACTERS = 5  # different ones: fewer are a placeholder, as in ghp_xxxx

DIGIT = r"(?=[\w-]*\d)"
NAMES = (
    r"(?:api_?key|secret_?key|(?:secret_?)?access_?key|account_?key|access_?token|auth_?token|api_?token|client_?secret"
    r"|password|passwd|pwd)"
)
WORDS_FOR_IT = r"(?:password|passwd|passphrase|pwd)"
ENVIRONMENT_NAMES = r"[A-Z0-9_]*(?:PASSWORD|PASSWD|SECRET|TOKEN|API_?KEY|ACCESS_KEY|SECRET_KEY|PRIVATE_KEY)"
MIXED = r"(?=[^'\"]*\d)(?=[^'\"]*[a-zA-Z])"
NO_PATH = r"(?![\w+.-]+:/)"

# Shapes that are a token's own, whatever is around them.
TOKENS = (
    ("an AWS access key", r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"),
    (
        "an AWS secret key",
        r"(?i)(?:aws_?)?secret_?(?:access_?)?key\W{1,5}(?P<value>[A-Za-z0-9/+]{40})(?![A-Za-z0-9/+])",
    ),
    ("an AWS session token", r"(?i)session_?token\W{1,5}(?P<value>[A-Za-z0-9/+]{100,})"),
    ("a GitHub token", r"\b(?:gh[pousr]_" + DIGIT + r"[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{22,})"),
    ("a GitLab token", r"\bgl(?:pat|dt|rt|cbt|ptt|ft|soat)-[\w-]{20,}"),
    ("a Slack token", r"\b(?:xox[abeoprs]|xapp)-" + DIGIT + r"[\w-]{10,}"),
    ("a Slack webhook", r"https://hooks\.slack\.com/(?:services|workflows)/[A-Za-z0-9+/]{20,}"),
    ("a Google API key", r"\bAIza[\w-]{35}(?![\w-])"),
    ("a Google OAuth token", r"\bya29\.[\w-]{20,}"),
    ("a Stripe key", r"\b[rs]k_live_[A-Za-z0-9]{20,}"),
    (
        "an API key (sk-...)",
        r"(?<![\w-])sk-(?:(?:proj|svcacct|admin|None|ant|or|lf|api\d\d)-" + DIGIT + r"[\w-]{20,}"
        r"|(?=[A-Za-z]*\d)(?=\d*[A-Za-z])[A-Za-z0-9]{20,})",
    ),
    ("an access token (hf_...)", r"\bhf_" + DIGIT + r"[A-Za-z0-9]{20,}"),
    ("an API key (gsk_...)", r"\bgsk_" + DIGIT + r"[A-Za-z0-9]{40,}"),
    ("an API token (r8_...)", r"\br8_" + DIGIT + r"[A-Za-z0-9]{30,}"),
    ("an API key (pcsk_...)", r"\bpcsk_" + DIGIT + r"[\w-]{30,}"),
    ("an API key (lsv2_...)", r"\blsv2_(?:pt|sk)_[0-9a-f]{32}"),
    ("an API key (tvly-...)", r"\btvly-" + DIGIT + r"[\w-]{20,}"),
    ("a DigitalOcean token", r"\bdo[opr]_v1_[0-9a-f]{60,}"),
    ("a Doppler token", r"\bdp\.(?:pt|st|ct)\.[A-Za-z0-9._-]{40,}"),
    ("a New Relic key", r"\bNRAK-[A-Z0-9]{27}\b"),
    ("a Telegram token", r"\b\d{8,10}:AA[\w-]{33}(?![\w-])"),
    ("a Twilio key", r"\bSK[0-9a-f]{32}\b"),
    ("a Mailchimp key", r"\b[0-9a-f]{32}-us\d{1,2}\b"),
    ("an npm token", r"\bnpm_[A-Za-z0-9]{36}\b"),
    ("a PyPI token", r"\bpypi-AgE[\w-]{50,}"),
    ("a SendGrid key", r"\bSG\.[\w-]{20,24}\.[\w-]{39,50}"),
    ("a Databricks token", r"\bdapi[a-f0-9]{32}\b"),
    ("an Azure storage key", r"AccountKey=(?P<value>[A-Za-z0-9+/]{80,}={0,2})"),
    ("a private key", r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----(?:\s|\\n)+[A-Za-z0-9+/=:, -]{20,}"),
    ("a JSON Web Token", r"\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}"),
)
# Shapes that a name beside them makes a secret: what they hold may as well be an example.
NAMED = (
    ("a bearer token", r"(?i)\bbearer\s+(?P<value>(?=[^\s'\"]*\d)(?=[^\s'\"]*[a-z])[\w.~+/-]{20,}=*)"),
    ("basic credentials", r"(?i)\bauthorization['\"]?\s*[:=]\s*['\"]?basic\s+(?P<value>[A-Za-z0-9+/]{12,}=*)"),
    (
        "a password in an address",
        r"\b[a-z][a-z0-9+.-]{2,}://(?P<user>[^\s/:@'\"<>{}$]*):(?P<value>[^\s/:@'\"<>{}$*]{6,})@(?!example\.)[\w.-]",
    ),
    (
        "a password or key",
        rf"(?i)(?<![a-z]){NAMES}['\"]?\s*\]?\s*(?::|=(?!=))\s*[rbf]?(?P<q>['\"])(?P<value>{NO_PATH}{MIXED}[^\s'\"<>{{}}$]{{8,}})(?P=q)",
    ),
    (
        "a password or key",
        rf"(?i)(?<![a-z]){WORDS_FOR_IT}['\"]?\s*\]?\s*(?::|=(?!=))\s*[rbf]?(?P<q>['\"])"
        rf"(?P<value>{NO_PATH}(?:{MIXED}[^\s'\"<>{{}}$]{{6,}}|[a-zA-Z]{{12,}}))(?P=q)",
    ),
    (  # printed as it stands in the environment or a file: NAME=value
        "a password or key",
        rf"(?:^|[\s;{{,'\"])(?:export\s+)?{ENVIRONMENT_NAMES}\s?=\s?(?P<value>{NO_PATH}{MIXED}[^\s'\"<>{{}}$()\[\],]{{8,}})",
    ),
    (
        "a password or key",
        rf"(?i)(?<![a-z]){WORDS_FOR_IT}\s?[:=]\s?(?P<value>{NO_PATH}{MIXED}[^\s'\"<>{{}}$()\[\],:]{{6,}})(?=\s|$|[,;])",
    ),
    (
        "a password or key",
        rf"(?i)(?:getenv|setdefault|putenv|environ\.get)\(\s*['\"][A-Z0-9_]*{NAMES}['\"]\s*,\s*['\"]"
        rf"(?P<value>{NO_PATH}{MIXED}[^\s'\"<>{{}}$]{{8,}})['\"]",
    ),
    ("an API key", r"(?i)\bx-api-key['\"]?\s*[:=]\s*['\"]?(?P<value>" + DIGIT + r"[\w-]{16,})"),
    (
        "a token",
        r"(?i)(?<![a-z])(?<!next_)(?<!page_)(?<!continuation_)(?:token|secret)['\"]?\s*[:=]\s*(?P<q>['\"])"
        r"(?-i:(?P<value>(?=[\w.~+/-]*\d)(?=[\w.~+/-]*[a-z])(?=[\w.~+/-]*[A-Z])[\w.~+/-]{20,}=*))(?P=q)",
    ),
)
_TOKENS = tuple((kind, re.compile(pattern, re.MULTILINE)) for kind, pattern in TOKENS)
_NAMED = tuple((kind, re.compile(pattern, re.MULTILINE)) for kind, pattern in NAMED)

PLACEHOLDER = re.compile(r"(?i)x{4,}|\*{3,}|\.\.\.|your|placeholder|changeme|dummy|redacted|example|getenv|environ")
# Of a named shape alone: a token of random letters may hold any of these words.
STAND_IN = re.compile(
    r"(?i)password|^(?:test|fake|sample|demo|mock|insert|todo|replace|none|null|true|false|string|optional|required)"
    r"|not-?_?a-?_?|^(?:ssm|vault|arn|env|secret|secrets|aws|gcp|azure):|^(?:the_|my_|db_)?(?:api_?|secret_?|access_?)?"
    r"(?:passwd|pwd|pass|secret|key|token|postgres|root|admin|user)[_-]?\d*$"
)
LITERAL_EXAMPLES = ("an AWS access key", "an AWS secret key")  # whose documentation's own example is as good a reason


def secret_kinds(text: str) -> tuple[str, ...]:
    """Name the kinds of secrets that a text has, each once."""
    tokens = list(_tokens(text))
    named = (kind for kind, value in _named(text) if not any(token in value for _, token in tokens))
    return tuple(dict.fromkeys([*(kind for kind, _ in tokens), *named]))


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    for kind, pattern in _TOKENS:
        for found in pattern.finditer(text):
            value = found.groupdict().get("value") or found[0]
            if _varied(value) and (kind in LITERAL_EXAMPLES or PLACEHOLDER.search(value) is None):
                yield kind, value


def _named(text: str) -> Iterator[tuple[str, str]]:
    for kind, pattern in _NAMED:
        for found in pattern.finditer(text):
            value = found["value"]
            stands_in = PLACEHOLDER.search(value) or STAND_IN.search(value) or value == found.groupdict().get("user")
            if _varied(value) and not stands_in:
                yield kind, value


def _varied(value: str) -> bool:
    return len(set(value.lower())) >= FEWEST_CHARACTERS
