"""Puts native requests (a JSON list on standard input) before the strict providers of the SDKs' suite.
Prints a line for each that is refused, and how many were checked.
"""

import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "sdk"))

import anthropic_upstream  # noqa: E402
import gemini_upstream  # noqa: E402
import openai_upstream  # noqa: E402

CHECKS = {
    "openai": lambda one: openai_upstream.ask_chat(one["body"]),
    "responses": lambda one: openai_upstream.ask_responses(one["body"]),
    "anthropic": lambda one: anthropic_upstream.check_body(one["body"], anthropic_upstream.OLD),
    "gemini": lambda one: gemini_upstream.check_body(one["model"], one["body"]),
}
REFUSALS = (openai_upstream.Refused, anthropic_upstream.Refused, gemini_upstream.Refused)

requests = json.load(sys.stdin)
for request in requests:
    try:
        CHECKS[request["dialect"]](request)
    except REFUSALS as refused:
        print(f"{request['name']}: {refused}: {json.dumps(request['body'])}")
print(f"{len(requests)} checked")
