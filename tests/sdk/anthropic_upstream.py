"""A provider of Anthropic's dialect that is as strict as the real one, on a free port that it prints.

What it is asked decides the answer: "weather" with tools calls the first tool, a tool's result is
repeated, everything else is greeted. The model claude-overloaded answers 529, ...-limited 429,
claude-breaks reports an error inside its stream. Requests that the real API refuses are refused with a 400 that says why.
"""

import json
import re
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import leaving

KEY = "sk-upstream"
MEMBERS = {
    "model", "max_tokens", "messages", "system", "tools", "tool_choice", "temperature", "top_p",
    "top_k", "stop_sequences", "metadata", "stream", "thinking", "output_config",
    "context_management",
}
BLOCKS = {
    "user": {"text", "image", "document", "tool_result"},
    "assistant": {"text", "tool_use", "thinking", "redacted_thinking"},
}
OLD, NEW = "2023-06-01", "2026-10-21"
NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")


class Refused(Exception):
    """A request that is refused: status, type of the error, message."""

    def __init__(self, message, status=400, kind="invalid_request_error"):
        super().__init__(message)
        self.status, self.kind = status, kind


def must(holds, message):
    if not holds:
        raise Refused(message)


def check_headers(headers):
    if headers.get("x-api-key") != KEY:
        raise Refused("invalid x-api-key", 401, "authentication_error")
    must(headers.get("authorization") is None, "authorization beside x-api-key")
    version = headers.get_all("anthropic-version")
    must(version in ([OLD], [NEW]), f"anthropic-version: {version} is not a valid version")
    must(headers.get("content-type") == "application/json", "content-type: must be JSON")
    must(headers.get("accept-encoding") == "identity", "accept-encoding: not what the gateway sends")


def check_body(body, version):
    must(isinstance(body, dict), "the body must be an object")
    # https://platform.claude.com/docs/en/api/versioning: the newer version has removed them.
    sampling = {"temperature", "top_p", "top_k"} & set(body) if version == NEW else set()
    must(not sampling, f"{sampling}: Extra inputs are not permitted")
    must(not set(body) - MEMBERS, f"extra inputs are not permitted: {set(body) - MEMBERS}")
    must(isinstance(body.get("model"), str) and body["model"], "model: field required")
    tokens = body.get("max_tokens")
    must(type(tokens) is int and tokens > 0, "max_tokens: field required")
    must(isinstance(body.get("stream", False), bool), "stream: must be a boolean")
    must(0 <= body.get("temperature", 1) <= 1, "temperature: must be from 0 to 1")
    must(all(s.strip() for s in body.get("stop_sequences", [])), "stop_sequences: white space")
    if "system" in body:
        check_blocks("system", body["system"], {"text"})
    check_tools(body)
    check_messages(body)


def count(body):
    must("max_tokens" not in body and "stream" not in body, "Extra inputs are not permitted")
    check_tools(body)
    check_messages(body)
    return {"input_tokens": 30}


def check_betas(body, betas):
    managed = "context_management" not in body or "context-management-2025-06-27" in betas
    must(managed, "context_management: Extra inputs are not permitted")


def check_tools(body):
    names = set()
    for tool in body.get("tools", []):
        must(NAME.fullmatch(tool.get("name", "")), "tools.name: does not match the pattern")
        must(tool["name"] not in names, "tools: names must be unique")
        must(tool.get("input_schema", {}).get("type") == "object", "tools.input_schema.type: object")
        names.add(tool["name"])
    choice = body.get("tool_choice")
    if choice is not None:
        must(names, "tool_choice: only with tools")
        must(choice.get("type") in {"auto", "any", "tool", "none"}, "tool_choice.type: unknown")
        must(choice["type"] != "tool" or choice.get("name") in names, "tool_choice.name: unknown")


def check_messages(body):
    messages = body.get("messages")
    must(isinstance(messages, list) and messages, "messages: at least one message is required")
    must(messages[0].get("role") == "user", "messages: first message must use the user role")
    called = set()
    for message in messages:
        role = message.get("role")
        must(role in BLOCKS, f"messages.role: unexpected {role!r}")
        must(set(message) == {"role", "content"}, "messages: extra inputs are not permitted")
        blocks = check_blocks("messages", message["content"], BLOCKS[role])
        kinds = [block["type"] for block in blocks]
        results = [block.get("tool_use_id") for block in blocks if block["type"] == "tool_result"]
        must("tool_result" not in kinds[len(results):], "tool_result blocks must come first")
        must(len(set(results)) == len(results), "each tool_use must have a single result")
        must(called == set(results), "tool_use ids without, or tool_result without, a counterpart")
        called = {check_call(block) for block in blocks if block["type"] == "tool_use"}
        must(not called or body.get("tools"), "tools: required where the messages call them")
    must(not called, "the last message calls a tool that has no result")
    last = blocks[-1].get("text", "") if messages[-1]["role"] == "assistant" else ""
    must(last == last.rstrip(), "final assistant content cannot end with trailing whitespace")


def check_blocks(where, content, allowed):
    if isinstance(content, str):
        content = [{"type": "text", "text": content}]
    must(isinstance(content, list) and content, f"{where}.content: must not be empty")
    for block in content:
        must(block.get("type") in allowed, f"{where}.content: unexpected {block.get('type')!r}")
        must(block["type"] != "text" or block.get("text"), f"{where}: text must be non-empty")
    return content


def check_call(block):
    must(NAME.fullmatch(block.get("id", "")), "tool_use.id: does not match the pattern")
    must(NAME.fullmatch(block.get("name", "")), "tool_use.name: does not match the pattern")
    must(isinstance(block.get("input"), dict), "tool_use.input: must be an object")
    return block["id"]


def text_of(content):
    if isinstance(content, str):
        return content
    return " ".join(block.get("text", "") for block in content)


def answer_to(body):
    """The blocks of the answer and the reason to stop."""
    last = body["messages"][-1]["content"]
    results = [b for b in last if isinstance(b, dict) and b["type"] == "tool_result"]
    blocks = []
    if body.get("thinking", {}).get("type") == "enabled":
        blocks.append({"type": "thinking", "thinking": "Let me see.", "signature": "c2lnbmVk"})
    if results:
        told = " and ".join(text_of(result["content"]) for result in results)
        return blocks + [{"type": "text", "text": f"The tool said {told}."}], "end_turn"
    if talk := leaving.text(body["model"]):
        return blocks + [{"type": "text", "text": talk}], "end_turn"
    choice = body.get("tool_choice", {"type": "auto"})["type"]
    if body.get("tools") and choice != "none" and "weather" in text_of(last).lower():
        blocks.append({"type": "text", "text": "Let me look."})
        for number, city in enumerate(["Paris", "Rome"], 1):
            blocks.append({"type": "tool_use", "id": f"toolu_{number}",
                           "name": body["tools"][0]["name"], "input": {"city": city}})
        return blocks, "tool_use"
    if choice in {"any", "tool"}:
        must(not body.get("thinking"), "Thinking may not be enabled when tool_choice forces tool use.")
        name = body["tool_choice"].get("name", body["tools"][0]["name"])
        call = {"type": "tool_use", "id": "toolu_1", "name": name, "input": {"city": "Paris"}}
        return blocks + [call], "tool_use"
    form = body.get("output_config", {}).get("format")
    if form:
        must(form["schema"].get("additionalProperties") is False, "additionalProperties: false")
        return blocks + [{"type": "text", "text": '{"city": "Paris"}'}], "end_turn"
    system = text_of(body.get("system", ""))
    words = f"You said: {text_of(last)} {system}".split()
    kept = words[:body["max_tokens"]]
    reason = "end_turn" if kept == words else "max_tokens"
    return blocks + [{"type": "text", "text": " ".join(kept)}], reason


def message(body, headers, blocks, reason, output):
    return {
        "id": "msg_01", "type": "message", "role": "assistant", "model": body["model"],
        "content": blocks, "stop_reason": reason, "stop_sequence": None,
        "usage": {"input_tokens": 25, "cache_read_input_tokens": 5, "output_tokens": output},
        "seen": {"beta": headers.get("anthropic-beta"), "metadata": body.get("metadata")},
    }


def deltas(block):
    """The block as it begins, and its deltas."""
    if block["type"] == "text":
        pieces = re.findall(r"\S+\s*", block["text"])
        return {"type": "text", "text": ""}, [{"type": "text_delta", "text": p} for p in pieces]
    if block["type"] == "thinking":
        return {"type": "thinking", "thinking": "", "signature": ""}, [
            {"type": "thinking_delta", "thinking": block["thinking"]},
            {"type": "signature_delta", "signature": block["signature"]}]
    text = json.dumps(block["input"])
    pieces = ["", text[:5], text[5:]]
    return {**block, "input": {}}, [{"type": "input_json_delta", "partial_json": p} for p in pieces]


def events(body, headers, blocks, reason):
    yield {"type": "message_start", "message": message(body, headers, [], None, 1)}
    yield {"type": "ping"}
    for index, block in enumerate(blocks):
        start, pieces = deltas(block)
        yield {"type": "content_block_start", "index": index, "content_block": start}
        for piece in pieces:
            yield {"type": "content_block_delta", "index": index, "delta": piece}
        if body["model"] == "claude-breaks":
            yield {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
            return
        yield {"type": "content_block_stop", "index": index}
    yield {"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": None},
           "usage": {"output_tokens": 12}}
    yield {"type": "message_stop"}


class Messages(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self):
        raw = self.rfile.read(int(self.headers["content-length"]))
        try:
            counts = self.path == "/v1/messages/count_tokens"
            if self.path != "/v1/messages" and not counts:
                raise Refused(f"no such path: {self.path}", 404, "not_found_error")
            check_headers(self.headers)
            body = json.loads(raw)
            if counts:
                return self.whole(200, count(body))
            check_body(body, self.headers["anthropic-version"])
            check_betas(body, self.headers.get("anthropic-beta", ""))
            if body["model"] == "claude-overloaded":
                raise Refused("Overloaded", 529, "overloaded_error")
            if body["model"].endswith("-limited"):
                raise Refused("Too many tokens", 429, "rate_limit_error")
        except Refused as refused:
            error = {"type": refused.kind, "message": str(refused)}
            return self.whole(refused.status, {"type": "error", "error": error})
        blocks, reason = answer_to(body)
        if body.get("stream"):
            answer = events(body, self.headers, blocks, reason)
            return self.stream(answer, body["model"].endswith("-slow"))
        return self.whole(200, message(body, self.headers, blocks, reason, 12))

    def whole(self, status, answer):
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.send_header("request-id", "req_upstream")
        if status == 429:
            self.send_header("retry-after", "34")
        self.end_headers()
        self.wfile.write(content)

    def stream(self, answer, slow):
        self.send_response(200)
        self.send_header("content-type", "text/event-stream; charset=utf-8")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        frames = (f"event: {e['type']}\ndata: {json.dumps(e)}\n\n".encode() for e in answer)
        leaving.write(self.wfile, frames, slow)

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Messages)
    print(server.server_port, flush=True)
    server.serve_forever()
