"""A provider of OpenAI's two dialects that is as strict as the real one, on a free port that it prints.

What it is asked decides the answer: "weather" with tools calls the first tool, "patch" one of type
custom or of that name, "refuse" refuses, a tool's result is repeated, everything else is greeted. The
model ...-breaks reports an error inside its stream, ...-limited a rate limit; chat-thinks thinks aloud.
What the real API refuses is refused with a 400.
"""

import json
import re
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import leaving

KEY = "sk-upstream"
CHAT = {
    "model", "messages", "tools", "tool_choice", "parallel_tool_calls", "max_tokens",
    "max_completion_tokens", "temperature", "top_p", "stop", "user", "response_format", "stream",
    "stream_options", "n", "seed", "logprobs", "top_logprobs", "reasoning_effort",
    "frequency_penalty", "presence_penalty", "store",
}
RESPONSES = {
    "model", "input", "instructions", "tools", "tool_choice", "parallel_tool_calls",
    "max_output_tokens", "temperature", "top_p", "top_logprobs", "include", "reasoning", "text",
    "user", "store", "stream", "previous_response_id", "metadata", "prompt_cache_key",
    "client_metadata",
}
ITEMS = {
    "message": {"type", "role", "content", "id", "status", "phase"},
    "reasoning": {"type", "summary", "encrypted_content", "id", "content", "status"},
    "function_call": {"type", "call_id", "name", "arguments", "id", "status", "namespace"},
    "function_call_output": {"type", "call_id", "output", "id", "status"},
    "custom_tool_call": {"type", "call_id", "name", "input", "id", "status", "namespace"},
    "custom_tool_call_output": {"type", "call_id", "output", "id", "status"},
}
HOSTED = {"web_search", "local_shell"}
SIGNED = "gAAAA-signed"


class Refused(Exception):
    """A request that is refused: message, status, code."""

    def __init__(self, message, status=400, code=None):
        super().__init__(message)
        self.status, self.code = status, code


def must(holds, message):
    if not holds:
        raise Refused(message)


def known(where, found, members):
    must(not set(found) - members, f"Unknown parameter: {where} {set(found) - members}")


def parts_text(content, kinds):
    if isinstance(content, str):
        return content
    for part in content or []:
        must(part.get("type") in kinds, f"Invalid value: {part.get('type')!r}")
    return " ".join(part.get("text") or part.get("refusal") or "" for part in content or [])


def check_strict(schema):
    for inner in schema.get("properties", {}).values():
        check_strict(inner)
    if schema.get("type") == "object":
        must(schema.get("additionalProperties") is False, "additionalProperties: must be false")
        must(set(schema.get("required", [])) == set(schema["properties"]), "required: all of them")


class Asked:
    """What either dialect asks for."""

    def __init__(self, model, said, results, tools, forced, limit, schema):
        self.model, (self.system, self.last), self.results = model, said, results
        self.tools, self.forced, self.limit, self.schema = tools, forced, limit, schema

    def answer(self):
        """The text, the calls (name, text of the input) and whether it refuses."""
        if self.results:
            return f"The tool said {' and '.join(self.results)}.", [], False
        if self.schema:
            must(self.schema.get("schema"), "Missing required parameter: schema")
            if self.schema.get("strict"):
                check_strict(self.schema["schema"])
            return '{"city": "Paris"}', [], False
        if talk := leaving.text(self.model):
            return talk, [], False
        named = dict(self.tools)
        if "patch" in self.last and "apply_patch" in named:
            text = "*** Begin\n+\"é\"\n"
            freeform = named["apply_patch"] == "custom"
            return "", [("apply_patch", text if freeform else json.dumps({"input": text}))], False
        if "weather" in self.last.lower() and self.tools:
            name = self.tools[0][0]
            return "Let me look.", [(name, json.dumps({"city": c})) for c in ("Paris", "Rome")], False
        if self.forced:
            must(self.forced in named, "Tool choice not found in tools")
            return "", [(self.forced, json.dumps({"city": "Paris"}))], False
        if "refuse" in self.last:
            return "I cannot.", [], True
        words = f"You said: {self.last} {self.system}".split()
        self.cut = bool(self.limit) and len(words) > self.limit
        return " ".join(words[:self.limit]), [], False

    cut = False


def chosen(body, tools, name):
    """The tool that must be called."""
    choice = body.get("tool_choice")
    if isinstance(choice, dict):
        return name(choice)
    return tools[0][0] if choice == "required" else None


def ask_chat(body):
    known("body", body, CHAT)
    pending, results, system, last = set(), [], [], ""
    for message in body["messages"]:
        role = message["role"]
        must(role in {"system", "developer", "user", "assistant", "tool"}, f"role {role!r}")
        must(bool(pending) == (role == "tool"), "tool_calls must be followed by tool messages")
        if role == "tool":
            must(message["tool_call_id"] in pending, "tool_call_id not found")
            pending.discard(message["tool_call_id"])
            results.append(parts_text(message["content"], {"text"}))
            continue
        if role != "assistant":
            text = parts_text(message["content"], {"text", "image_url", "file"})
            if role == "user":
                last, results = text, []
            else:
                system.append(text)
        for call in message.get("tool_calls") or []:
            known("tool_calls", call, {"id", "type", "function"})
            json.loads(call["function"]["arguments"])
            pending.add(call["id"])
    must(not pending, "an assistant message with tool_calls must be followed by tool messages")
    tools = []
    for tool in body.get("tools", []):
        known("tools", tool, {"type", "function"})
        known("function", tool["function"], {"name", "description", "parameters", "strict"})
        must(re.fullmatch("[a-zA-Z0-9_-]{1,64}", tool["function"]["name"]), "Invalid tool name")
        tools.append((tool["function"]["name"], "function"))
    must(tools or not {"tool_choice", "parallel_tool_calls"} & set(body), "only with tools")
    limit = body.get("max_completion_tokens") or body.get("max_tokens")
    if body.get("tool_choice") == "none":
        tools = []
    schema = body.get("response_format", {}).get("json_schema")
    forced = chosen(body, tools, lambda choice: choice["function"]["name"])
    return Asked(body["model"], (" ".join(system), last), results, tools, forced, limit, schema)


def ask_responses(body):
    known("body", body, RESPONSES)
    must(body.get("max_output_tokens", 16) >= 16, "max_output_tokens: minimum is 16")
    items = body["input"]
    if isinstance(items, str):
        items = [{"role": "user", "content": items}]
    called, results, system, last = set(), [], [body.get("instructions") or ""], ""
    for item in items:
        kind = item.get("type", "message")
        must(kind in ITEMS, f"Invalid value: {kind!r}")
        known(kind, item, ITEMS[kind])
        if kind == "reasoning":
            must(item.get("encrypted_content") in (None, SIGNED), "could not be verified")
        elif kind in {"function_call", "custom_tool_call"}:
            must(len(item["call_id"]) <= 64, "call_id too long")
            called.add(item["call_id"])
            if kind == "function_call":
                json.loads(item["arguments"])
        elif kind.endswith("_output"):
            must(item["call_id"] in called, "No tool call found for function call output")
            results.append(parts_text(item["output"], {"input_text", "input_image", "input_file"}))
        else:
            own = {"output_text", "refusal"} if item["role"] == "assistant" else {
                "input_text", "input_image", "input_file"}
            text = parts_text(item["content"], own)
            if item["role"] == "user":
                last, results = text, []
            elif item["role"] in {"system", "developer"}:
                system.append(text)
    tools = []
    for tool in body.get("tools", []):
        must(tool["type"] in {"function", "custom", "namespace", *HOSTED}, tool["type"])
        if tool["type"] == "function":
            known("tools", tool, {"type", "name", "description", "parameters", "strict"})
            must("strict" in tool, "strict is true unless said otherwise")
        if tool["type"] in {"function", "custom"}:
            tools.append((tool["name"], tool["type"]))
    if body.get("tool_choice") == "none":
        tools = []
    form = body.get("text", {}).get("format", {})
    schema = form if form.get("type") == "json_schema" else None
    forced = chosen(body, tools, lambda choice: choice["name"])
    return Asked(body["model"], (" ".join(system), last), results, tools, forced, None, schema)


def thinks(body):
    """Whether the thoughts are told, as servers of open models do."""
    return "thinks" in body["model"] and body.get("reasoning_effort")


def chat_events(asked, body):
    text, calls, refused = asked.answer()
    reason = "tool_calls" if calls else "length" if asked.cut else "stop"
    base = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": asked.model}

    def chunk(delta, reason=None):
        choice = {"index": 0, "delta": delta, "finish_reason": reason, "logprobs": None}
        return {**base, "choices": [choice], "usage": None}

    yield chunk({"role": "assistant", "content": ""})
    if thinks(body):
        yield chunk({"reasoning_content": "Let me "})
        yield chunk({"reasoning_content": "see."})
    for piece in re.findall(r"\S+\s*", text):
        yield chunk({"refusal" if refused else "content": piece})
    if asked.model.endswith("-breaks"):
        yield {"error": {"message": "The server broke", "type": "server_error", "code": None}}
        return
    for index, (name, arguments) in enumerate(calls):
        call = {"index": index, "id": f"call_{index}", "type": "function"}
        yield chunk({"tool_calls": [{**call, "function": {"name": name, "arguments": ""}}]})
        for at in range(0, len(arguments), 4):
            piece = {"arguments": arguments[at:at + 4]}
            yield chunk({"tool_calls": [{"index": index, "function": piece}]})
    yield chunk({}, reason)
    if (body.get("stream_options") or {}).get("include_usage"):
        yield {**base, "choices": [], "usage": CHAT_USAGE}
    yield "[DONE]"


CHAT_USAGE = {
    "prompt_tokens": 30, "completion_tokens": 12, "total_tokens": 42,
    "prompt_tokens_details": {"cached_tokens": 5},
    "completion_tokens_details": {"reasoning_tokens": 4},
}
USAGE = {
    "input_tokens": 30, "input_tokens_details": {"cached_tokens": 5, "cache_write_tokens": 0},
    "output_tokens": 12, "output_tokens_details": {"reasoning_tokens": 4}, "total_tokens": 42,
}


def chat_whole(asked, body):
    text, calls, refused = asked.answer()
    message = {"role": "assistant", "content": None if refused else text,
               "refusal": text if refused else None}
    if calls:
        message["tool_calls"] = [
            {"id": f"call_{i}", "type": "function", "function": {"name": n, "arguments": a}}
            for i, (n, a) in enumerate(calls)]
    if thinks(body):
        message["reasoning_content"] = "Let me see."
    reason = "tool_calls" if calls else "length" if asked.cut else "stop"
    choice = {"index": 0, "message": message, "finish_reason": reason, "logprobs": None}
    return {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": asked.model,
            "choices": [choice], "usage": CHAT_USAGE}


def output_items(asked, body):
    text, calls, refused = asked.answer()
    items = []
    if "reasoning.encrypted_content" in body.get("include", []):
        items.append({"type": "reasoning", "id": "rs_1", "encrypted_content": SIGNED,
                      "summary": [{"type": "summary_text", "text": "Let me see."}]})
    if text:
        part = {"type": "refusal", "refusal": text} if refused else {
            "type": "output_text", "text": text, "annotations": [], "logprobs": []}
        items.append({"type": "message", "id": "msg_1", "role": "assistant",
                      "status": "completed", "content": [part]})
    for index, (name, given) in enumerate(calls):
        custom = dict(asked.tools)[name] == "custom"
        kind = ("custom_tool_call", "input") if custom else ("function_call", "arguments")
        items.append({"type": kind[0], "id": f"fc_{index}", "call_id": f"call_{index}",
                      "name": name, kind[1]: given, "status": "completed"})
    return items


def response(asked, status, output, usage):
    return {"id": "resp_1", "object": "response", "created_at": 1, "status": status, "error": None,
            "incomplete_details": None, "model": asked.model, "output": output, "usage": usage,
            "parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "store": False}


def response_events(asked, body):
    number = iter(range(10_000))

    def event(kind, **more):
        return {"type": f"response.{kind}", "sequence_number": next(number), **more}

    items = output_items(asked, body)
    yield event("created", response=response(asked, "in_progress", [], None))
    for at, item in enumerate(items):
        place = {"output_index": at, "item_id": item["id"]}
        empty = {"reasoning": {"summary": []}, "message": {"content": [], "status": "in_progress"},
                 "function_call": {"arguments": ""}, "custom_tool_call": {"input": ""}}
        yield event("output_item.added", output_index=at, item={**item, **empty[item["type"]]})
        if item["type"] == "reasoning":
            yield event("reasoning_summary_part.added", **place, summary_index=0,
                        part={"type": "summary_text", "text": ""})
            yield event("reasoning_summary_text.delta", **place, summary_index=0,
                        delta=item["summary"][0]["text"])
        elif item["type"] == "message":
            part = item["content"][0]
            key = "refusal" if part["type"] == "refusal" else "text"
            yield event("content_part.added", **place, content_index=0, part={**part, key: ""})
            for piece in re.findall(r"\S+\s*", part[key]):
                name = "refusal.delta" if key == "refusal" else "output_text.delta"
                yield event(name, **place, content_index=0, delta=piece, logprobs=[])
            if asked.model.endswith("-breaks"):
                error = {"code": "server_error", "message": "The server broke"}
                broken = {**response(asked, "failed", [], None), "error": error}
                yield event("failed", response=broken)
                return
            yield event("content_part.done", **place, content_index=0, part=part)
        else:
            key = "input" if item["type"] == "custom_tool_call" else "arguments"
            name = "custom_tool_call_input" if key == "input" else "function_call_arguments"
            for start in range(0, len(item[key]), 4):
                yield event(f"{name}.delta", **place, delta=item[key][start:start + 4])
            yield event(f"{name}.done", **place, **{key: item[key]})
        yield event("output_item.done", output_index=at, item=item)
    yield event("completed", response=response(asked, "completed", items, USAGE))


def framed(event):
    data = event if isinstance(event, str) else json.dumps(event)
    named = not isinstance(event, str) and "sequence_number" in event
    name = f"event: {event['type']}\n" if named else ""
    return f"{name}data: {data}\n\n".encode()


class Provider(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self):
        raw = self.rfile.read(int(self.headers["content-length"]))
        try:
            if self.headers.get("authorization") != f"Bearer {KEY}":
                raise Refused("Incorrect API key provided", 401, "invalid_api_key")
            body = json.loads(raw)
            chat = self.path == "/v1/chat/completions"
            if not chat and self.path != "/v1/responses":
                raise Refused(f"Invalid URL ({self.path})", 404)
            must(chat or not body["model"].startswith("chat-"), "no Responses here")
            asked = ask_chat(body) if chat else ask_responses(body)
            if asked.model.endswith("-limited"):
                raise Refused("Rate limit reached", 429, "rate_limit_exceeded")
        except Refused as refused:
            error = {"message": str(refused), "type": "invalid_request_error", "param": None,
                     "code": refused.code}
            return self.whole(refused.status, {"error": error})
        if body.get("stream"):
            events = chat_events(asked, body) if chat else response_events(asked, body)
            return self.stream(events, asked.model.endswith("-slow"))
        if chat:
            return self.whole(200, chat_whole(asked, body))
        return self.whole(200, response(asked, "completed", output_items(asked, body), USAGE))

    def whole(self, status, answer):
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        if status == 429:
            self.send_header("retry-after", "34")
        self.end_headers()
        self.wfile.write(content)

    def stream(self, answer, slow):
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        leaving.write(self.wfile, map(framed, answer), slow)

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    print(server.server_port, flush=True)
    server.serve_forever()
