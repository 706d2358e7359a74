"""What does a text give away? The machine it was made on, its user, a key: none of it belongs into what is shared.

The patterns are the published forms of keys and the usual places of homes. The name of this machine and of its user
are not looked for: on the machine of somebody called Adam every notebook on optimizers would be refused.
"""

import math
import re
from collections import Counter
from collections.abc import Iterator

MACHINE = {
    "absolute paths": re.compile(
        r"(?<![\w.:/<])/(?:home|Users|root|tmp|work|mnt|opt|private|var|usr|content|kaggle|scratch|srv|Volumes)/[\w.]"
        r"|\b[A-Z]:\\+\w|\\\\\w+\\\w|\bfile:///|\bsite-packages\b|(?<!\w)~/\.?\w"
    ),
    "host names or addresses": re.compile(
        r"\blocalhost\b|\b(?:127|10|192\.168|172\.(?:1[6-9]|2\d|3[01]))(?:\.\d{1,3}){2,3}\b"
        r"|\b\w+@[\w-]+:[~/]|\b(?:DESKTOP|LAPTOP)-[A-Z0-9]{5,}\b|\bip-\d+-\d+-\d+-\d+\b"
        r"|\b[\w-]+\.(?:local|lan|internal|home\.arpa)\b(?!\()"
    ),
    "addresses of people": re.compile(r"\b[\w.+-]+@[\w-]+(?:\.[\w-]+)*\.[a-z]{2,}\b"),
}
_SECRETS = {
    "private key": r"-----BEGIN [A-Z ]*PRIVATE KEY",
    "key of a cloud": r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b|\bAIza[\w-]{35}",
    "token of a code host": r"\bgh[opsur]_\w{36}|\bgithub_pat_\w{22}|\bglpat-[\w-]{20}",
    "token of a service": r"\bxox[abpr]-[\w-]{10}|\bhf_[A-Za-z]{30}|\bsk-(?:\w+-)*[A-Za-z0-9_]{24}",
    "token of a registry": r"\bnpm_\w{36}|\bpypi-\w{40}",
    "signed token": r"\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.",
    "credential": r"(?i:\b(?:password|passwd|secret|api_?key|auth_?token)\b)[\"']?\s*[=:]\s*[\"'][^\"'\s{}<>]{6,}[\"']",
    "credential in an address": r"\b[a-z]+://[^\s/:@]+:[^\s/@{}]+@",
    "token in an address": r"[?&](?:token|key|sig|signature)=[\w%-]{12,}",
}
_SECRET = {kind: re.compile(pattern) for kind, pattern in _SECRETS.items()}
_WORD = re.compile(r"(?<![\w/+=-])[A-Za-z0-9_/+=-]{32,120}(?![\w/+=-])")
_PUBLIC = re.compile(
    r"sha(?:256|384|512)-|data:[\w/+.-]+;base64,|iVBORw0KGgo"
)  # hashes and pictures look random, and may
_PATH = re.compile(r"(?:^|/)[A-Za-z]{3,}(?=[/_-]|$)")  # a part of a path is a word
_BITS = 4.3  # a character of random base64 has up to 5 in a word of 32; one of hexadecimal digits at most 4


def machine_traces(text: str) -> Iterator[tuple[str, str]]:
    """Yield (kind, what was found) for the first trace of each kind of machine or person."""
    for kind, pattern in MACHINE.items():
        if match := pattern.search(text):
            yield kind, match[0]


def secrets(text: str) -> Iterator[tuple[str, str]]:
    """Yield (kind, its first characters) for each thing that looks like a key, and is not shown in full."""
    for kind, pattern in _SECRET.items():
        if match := pattern.search(text):
            yield kind, f"{match[0][:8]}..."
    for match in _WORD.finditer(text):
        if _looks_random(match[0]) and not _PUBLIC.search(text, max(0, match.start() - 40), match.end()):
            yield "random word", f"{match[0][:8]}..."


def _looks_random(word: str) -> bool:
    """Tell a key from a long name: all three kinds of characters, and hardly any twice."""
    kinds = (r"[a-z]", r"[A-Z]", r"\d")
    if not all(len(re.findall(kind, word)) >= 3 for kind in kinds) or _PATH.search(word):
        return False
    counts = Counter(word).values()
    bits = -sum(count / len(word) * math.log2(count / len(word)) for count in counts)
    return bits > min(_BITS, math.log2(len(word)) - 0.6)
