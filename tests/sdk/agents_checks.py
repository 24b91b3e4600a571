"""What coding agents send, in the manner of their own requests, with one model: two turns each.
Written after what Codex 0.169 and Gemini CLI 0.61 send, and the documents of Claude Code.

`python agents_checks.py MODEL`. The requests lie in agents/; here is what an agent does with an answer.
"""

import json
import pathlib
import sys
import urllib.error
import urllib.request

from checks import KEY, URL, run

MODEL = sys.argv[1]
FOLDER = pathlib.Path(__file__).parent / "agents"
RESULTS = ["17 C", "21 C"]
CITIES = [{"city": "Paris"}, {"city": "Rome"}]


def read(name):
    text = (FOLDER / f"{name}.json").read_text()
    return json.loads(text.replace("KEY", KEY).replace("MODEL", MODEL))


def post(path, headers, body):
    """Status, headers, and the text of the answer."""
    data = json.dumps(body).encode()
    headers = {**headers, "content-type": "application/json"}
    request = urllib.request.Request(URL + path, data, headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.headers, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read().decode()


def stream(agent, body):
    status, headers, text = post(agent["path"], agent["headers"], body)
    assert status == 200, (status, text)
    assert headers["content-type"].startswith("text/event-stream"), headers["content-type"]
    frames = text.replace("\r\n", "\n").strip().split("\n\n")
    data = ["\n".join(line[6:] for line in frame.split("\n") if line.startswith("data: "))
            for frame in frames]
    return headers, [json.loads(one) for one in data if one]


def dropped(headers):
    return set(filter(None, (headers["x-sluice-dropped"] or "").split(", ")))


def message_of(events):
    """The blocks of a streamed message, as Claude Code puts them together, and the reason to stop."""
    blocks, texts = [], {}
    for event in events:
        assert event["type"] != "error", event
        if event["type"] == "content_block_start":
            assert event["index"] == len(blocks)
            blocks.append(event["content_block"])
        elif event["type"] == "content_block_delta":
            block, delta = blocks[event["index"]], event["delta"]
            match delta["type"]:
                case "text_delta":
                    block["text"] += delta["text"]
                case "thinking_delta":
                    block["thinking"] += delta["thinking"]
                case "signature_delta":
                    block["signature"] = delta["signature"]
                case "input_json_delta":
                    texts[event["index"]] = texts.get(event["index"], "") + delta["partial_json"]
    for index, text in texts.items():
        blocks[index]["input"] = json.loads(text or "{}")
    stops = [e["delta"]["stop_reason"] for e in events if e["type"] == "message_delta"]
    assert events[-1]["type"] == "message_stop"
    return blocks, stops[-1]


def check_claude_code():
    agent = read("claude_code")
    first = {**agent["body"], "model": MODEL}
    headers, events = stream(agent, first)
    blocks, reason = message_of(events)
    calls = [block for block in blocks if block["type"] == "tool_use"]
    assert [call["input"] for call in calls] == CITIES and reason == "tool_use", blocks
    results = [{"type": "tool_result", "tool_use_id": call["id"], "content": told}
               for call, told in zip(calls, RESULTS)]
    results[1]["content"] = [{"type": "text", "text": RESULTS[1]}]
    results[1]["cache_control"] = {"type": "ephemeral"}
    messages = [*first["messages"], {"role": "assistant", "content": blocks},
                {"role": "user", "content": results}]
    _, events = stream(agent, {**first, "messages": messages})
    blocks, reason = message_of(events)
    text = "".join(block.get("text", "") for block in blocks)
    assert text.startswith("The tool said 17 C and 21 C."), text
    assert reason == "end_turn", reason
    # At home nothing is lost; elsewhere what is lost is told.
    lost = dropped(headers)
    if MODEL.startswith("claude"):
        assert not lost, lost
    else:
        assert "context_management" in lost, lost


def check_claude_code_counts():
    agent = read("claude_code")
    body = {name: agent["body"][name] for name in ("messages", "system", "tools", "thinking")}
    path = agent["path"].replace("/messages", "/messages/count_tokens")
    status, _, text = post(path, agent["headers"], {**body, "model": MODEL})
    assert status == 200 and json.loads(text)["input_tokens"] > 0, (status, text)


def check_claude_code_names_a_topic():
    """The small request beside the conversation: no thinking, and an answer that is begun."""
    agent = read("claude_code")
    body = {
        "model": MODEL, "max_tokens": 512, "temperature": 0, "system": agent["body"]["system"],
        "messages": [{"role": "user", "content": "Hello there"},
                     {"role": "assistant", "content": "{"}],
        "metadata": agent["body"]["metadata"],
    }
    status, _, text = post(agent["path"], agent["headers"], body)
    assert status == 200, (status, text)
    assert json.loads(text)["content"][-1]["type"] == "text", text


def check_codex():
    agent = read("codex")
    first = {**agent["body"], "model": MODEL}
    headers, events = stream(agent, first)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    # Codex takes items as they are done, and the rest from the end.
    items = [e["item"] for e in events if e["type"] == "response.output_item.done"]
    assert events[-1]["type"] == "response.completed", events[-1]
    assert events[-1]["response"]["usage"]["total_tokens"] == 42
    calls = [item for item in items if item["type"] == "function_call"]
    assert [json.loads(call["arguments"]) for call in calls] == CITIES, items
    results = [{"type": "function_call_output", "id": f"fco_{told[:2]}",
                "call_id": call["call_id"], "output": told}
               for call, told in zip(calls, RESULTS)]
    _, events = stream(agent, {**first, "input": [*first["input"], *items, *results]})
    said = "".join(e["delta"] for e in events if e["type"] == "response.output_text.delta")
    assert said.startswith("The tool said 17 C and 21 C."), said
    lost = dropped(headers)
    if MODEL.startswith("gpt"):
        assert not lost, lost
    else:
        hosted = {"client_metadata", "tools.local_shell", "tools.web_search"}
        assert hosted <= lost, lost


def check_codex_patches_files():
    agent = read("codex")
    ask = {"type": "message", "role": "user",
           "content": [{"type": "input_text", "text": "patch the file"}]}
    body = {**agent["body"], "model": MODEL, "input": [ask]}
    # Only OpenAI's own models and this suite's play the tool by its name.
    if MODEL.startswith(("claude", "gemini")):
        body["tool_choice"] = {"type": "custom", "name": "apply_patch"}
        body.pop("reasoning")
    _, events = stream(agent, body)
    items = [e["item"] for e in events if e["type"] == "response.output_item.done"]
    call = next(item for item in items if item["type"] == "custom_tool_call")
    assert call["name"] == "apply_patch" and call["input"], call
    call = {name: value for name, value in call.items() if name not in {"id", "status"}}
    result = {"type": "custom_tool_call_output", "call_id": call["call_id"], "output": "Success"}
    body = {**body, "input": [ask, call, result], "tool_choice": "auto"}
    _, events = stream(agent, body)
    said = "".join(e["delta"] for e in events if e["type"] == "response.output_text.delta")
    assert said.startswith("The tool said Success."), said


def check_gemini_cli():
    agent = read("gemini_cli")
    first = agent["body"]
    _, frames = stream(agent, first)
    parts = [part for frame in frames for candidate in frame["candidates"]
             for part in candidate.get("content", {}).get("parts", [])]
    calls = [part["functionCall"] for part in parts if "functionCall" in part]
    assert [call["args"] for call in calls] == CITIES, parts
    assert frames[-1]["candidates"][0]["finishReason"] == "STOP", frames[-1]
    assert frames[-1]["usageMetadata"]["totalTokenCount"] == 42, frames[-1]
    # It leaves out thoughts and empty texts, names calls itself where they have no id, marks a call
    # without a signature, and sends results as they come.
    kept = [part for part in parts if not part.get("thought") and part.get("text") != ""]
    for at, call in enumerate(calls):
        call.setdefault("id", f"call-{at}")
    first_call = next(part for part in kept if "functionCall" in part)
    first_call.setdefault("thoughtSignature", "skip_thought_signature_validator")
    results = [{"functionResponse": {"id": call["id"], "name": call["name"],
                                     "response": {"output": told}}}
               for call, told in zip(calls, RESULTS)][::-1]
    contents = [*first["contents"], {"role": "model", "parts": kept},
                {"role": "user", "parts": results}]
    _, frames = stream(agent, {**first, "contents": contents})
    said = "".join(part.get("text", "") for frame in frames for candidate in frame["candidates"]
                   for part in candidate.get("content", {}).get("parts", [])
                   if not part.get("thought"))
    assert said.startswith("The tool said ") and all(told in said for told in RESULTS), said


def check_gemini_cli_counts():
    agent = read("gemini_cli")
    body = {"contents": agent["body"]["contents"]}
    status, _, text = post(agent["count_path"], agent["headers"], body)
    assert status == 200 and json.loads(text)["totalTokens"] > 0, (status, text)


def check_gemini_cli_chooses_who_speaks_next():
    agent = read("gemini_cli")
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    body = {
        "contents": [{"role": "user", "parts": [{"text": "Who speaks next?"}]}],
        "systemInstruction": agent["body"]["systemInstruction"],
        "generationConfig": {"temperature": 0, "topP": 1, "maxOutputTokens": 1024,
                             "responseMimeType": "application/json",
                             "responseJsonSchema": schema},
    }
    path = agent["path"].replace(":streamGenerateContent?alt=sse", ":generateContent")
    status, _, text = post(path, agent["headers"], body)
    assert status == 200, (status, text)
    parts = json.loads(text)["candidates"][0]["content"]["parts"]
    assert json.loads(parts[-1]["text"]) == {"city": "Paris"}, parts


if __name__ == "__main__":
    run(globals())
