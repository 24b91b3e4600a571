"""A provider of Gemini's dialect that is as strict as the real one, on a free port that it prints.

What it is asked decides the answer: "weather" with functions calls the first one twice, a function's
response is repeated, everything else is greeted. The model gemini-overloaded answers 503,
gemini-breaks reports an error inside its stream, ...-limited a wait. Requests that the real API
refuses are refused with a 400 that says why; gemini-3 insists on its thought signatures.
"""

import base64
import json
import re
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import leaving

KEY = "sk-upstream"
PATH = re.compile(r"/v1beta/models/([^/:]+):(\w+)(\?alt=sse)?")
SIGNATURE = base64.b64encode(b"signed by the model").decode()
SKIP = "skip_thought_signature_validator"
NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_.:-]{0,63}")
REQUEST = {"contents", "systemInstruction", "tools", "toolConfig", "generationConfig",
           "safetySettings", "cachedContent"}
CONFIG = {
    "candidateCount", "maxOutputTokens", "temperature", "topP", "topK", "stopSequences", "seed",
    "presencePenalty", "frequencyPenalty", "responseLogprobs", "logprobs", "responseMimeType",
    "responseSchema", "responseJsonSchema", "thinkingConfig", "responseModalities",
}
DATA = {"text", "inlineData", "fileData", "functionCall", "functionResponse"}
BESIDE = {"thought", "thoughtSignature"}
DECLARATION = {"name", "description", "parameters", "parametersJsonSchema"}


class Refused(Exception):
    """A request that is refused: HTTP status, status word, message, details."""

    def __init__(self, message, code=400, status="INVALID_ARGUMENT", details=()):
        super().__init__(message)
        self.code, self.status, self.details = code, status, list(details)


def must(holds, message):
    if not holds:
        raise Refused(message)


def known(where, value, names):
    must(isinstance(value, dict), f"{where}: must be an object")
    for name in value:
        must(name in names, f'Invalid JSON payload received. Unknown name "{name}" at \'{where}\'')


PLAIN = {"args", "response", "parameters", "parametersJsonSchema", "responseSchema",
         "responseJsonSchema"}


def camel(value):
    """Names in snake_case are those in camelCase; what a caller names stays as it is."""
    if isinstance(value, list):
        return [camel(one) for one in value]
    if not isinstance(value, dict):
        return value
    names = {name: re.sub("_(.)", lambda found: found[1].upper(), name) for name in value}
    return {names[name]: inner if names[name] in PLAIN else camel(inner)
            for name, inner in value.items()}


def check_body(model, body):
    known("request", body, REQUEST)
    contents = body.get("contents")
    must(isinstance(contents, list) and contents, "contents is not specified")
    if "systemInstruction" in body:
        known("system_instruction", body["systemInstruction"], {"parts", "role"})
    check_config(body)
    check_tools(body)
    check_contents(model, contents)


def check_config(body):
    config = body.get("generationConfig", {})
    known("generation_config", config, CONFIG)
    must(0 <= config.get("temperature", 1) <= 2, "temperature: must be from 0 to 2")
    must(len(config.get("stopSequences", [])) <= 5, "stop_sequences: at most 5")
    thinking = config.get("thinkingConfig", {})
    known("thinking_config", thinking, {"includeThoughts", "thinkingBudget", "thinkingLevel"})
    must(not {"thinkingBudget", "thinkingLevel"} <= set(thinking), "a budget and a level at once")
    schemas = {"responseSchema", "responseJsonSchema"} & set(config)
    mime = config.get("responseMimeType")
    must(not schemas or mime == "application/json", "a response schema needs the JSON mime type")


def check_tools(body):
    names = set()
    for tool in body.get("tools", []):
        known("tools", tool, {"functionDeclarations", "googleSearch"})
        for function in tool.get("functionDeclarations", []):
            known("function_declarations", function, DECLARATION)
            must(NAME.fullmatch(function.get("name", "")), "function name: invalid")
            must(function["name"] not in names, "function names must be unique")
            names.add(function["name"])
    calling = body.get("toolConfig", {}).get("functionCallingConfig", {})
    must(calling.get("mode", "AUTO") in {"AUTO", "ANY", "NONE", "VALIDATED"}, "mode: unknown")
    must(set(calling.get("allowedFunctionNames", [])) <= names, "allowed names must be declared")


def turns(contents):
    """Contents of one role in a row are one turn: the SDK keeps each piece of a stream as its own."""
    merged = []
    for content in contents:
        known("contents", content, {"role", "parts"})
        if merged and merged[-1]["role"] == content.get("role"):
            merged[-1]["parts"] += content.get("parts", [])
        else:
            merged.append({**content, "parts": list(content.get("parts", []))})
    return merged


def check_contents(model, contents):
    called = []
    for content in turns(contents):
        known("contents", content, {"role", "parts"})
        must(content.get("role") in {"user", "model"}, "Please use a valid role: user, model.")
        must(content.get("parts"), "contents.parts must not be empty.")
        for part in content["parts"]:
            known("parts", part, DATA | BESIDE)
            must(len(DATA & set(part)) == 1, "parts: exactly one data field must be set")
            if "thoughtSignature" in part and part["thoughtSignature"] != SKIP:
                base64.urlsafe_b64decode(part["thoughtSignature"])
        answered = [part["functionResponse"] for part in content["parts"]
                    if "functionResponse" in part]
        must(len(answered) == len(called), "the number of function response parts must equal "
             "the number of function call parts of the function call turn")
        must(all(isinstance(one.get("response"), dict) for one in answered), "response: an object")
        must([one.get("name") for one in answered] == called, "function response name: wrong")
        calls = [part for part in content["parts"] if "functionCall" in part]
        must(all(isinstance(part["functionCall"].get("args", {}), dict) for part in calls), "args")
        called = [part["functionCall"]["name"] for part in calls]
        if called and model.startswith("gemini-3"):
            must(calls[0].get("thoughtSignature") in {SIGNATURE, SKIP},
                 "Function call is missing a thought_signature in functionCall parts.")
    must(not called, "the last turn calls a function that has no response")


def text_of(content):
    return " ".join(part.get("text", "") for part in content.get("parts", []))


def answer_to(model, body):
    """The parts of the answer and the reason to stop."""
    last = body["contents"][-1]
    config = body.get("generationConfig", {})
    thoughts = []
    if config.get("thinkingConfig", {}).get("includeThoughts"):
        thoughts = [{"text": "Let me see.", "thought": True}]
    answered = [part["functionResponse"]["response"] for part in last["parts"]
                if "functionResponse" in part]
    if answered:
        # Either Google's own word for it, or what a client has wrapped it in.
        told = " and ".join(str(one.get("content", next(iter(one.values()), ""))) for one in answered)
        signed = any("thoughtSignature" in part and part["thoughtSignature"] != SKIP
                     for content in body["contents"] for part in content["parts"])
        return thoughts + [{"text": f"The tool said {told}. Signed: {signed}."}], "STOP"
    if talk := leaving.text(model):
        return [{"text": talk}], "STOP"
    calling = body.get("toolConfig", {}).get("functionCallingConfig", {})
    mode = calling.get("mode", "AUTO")
    if body.get("tools") and mode != "NONE" and "weather" in text_of(last).lower():
        name = body["tools"][0]["functionDeclarations"][0]["name"]
        calls = [{"functionCall": {"name": name, "args": {"city": city}}}
                 for city in ("Paris", "Rome")]
        calls[0]["thoughtSignature"] = SIGNATURE
        return thoughts + calls, "STOP"
    if mode == "ANY":
        names = calling.get("allowedFunctionNames") or [
            body["tools"][0]["functionDeclarations"][0]["name"]]
        call = {"name": names[0], "args": {"city": "Paris"}}
        return thoughts + [{"functionCall": call, "thoughtSignature": SIGNATURE}], "STOP"
    if config.get("responseMimeType") == "application/json":
        return thoughts + [{"text": '{"city": "Paris"}'}], "STOP"
    words = f"You said: {text_of(last)} {text_of(body.get('systemInstruction', {}))}".split()
    kept = words[:config.get("maxOutputTokens", 100)]
    return thoughts + [{"text": " ".join(kept)}], "STOP" if kept == words else "MAX_TOKENS"


def frame(model, candidate, usage):
    return {"candidates": [{"index": 0, **candidate}], "usageMetadata": usage,
            "modelVersion": model, "responseId": "resp-1"}


PROMPT = {"promptTokenCount": 30, "cachedContentTokenCount": 5, "totalTokenCount": 30}
USAGE = {**PROMPT, "candidatesTokenCount": 8, "thoughtsTokenCount": 4, "totalTokenCount": 42}


def whole_answer(model, body):
    parts, reason = answer_to(model, body)
    content = {"role": "model", "parts": parts}
    return frame(model, {"content": content, "finishReason": reason}, USAGE)


def frames(model, body):
    parts, reason = answer_to(model, body)
    for part in parts:
        pieces = [part]
        if "text" in part and not part.get("thought"):
            pieces = [{"text": piece} for piece in re.findall(r"\S+\s*", part["text"])]
        for piece in pieces:
            yield frame(model, {"content": {"role": "model", "parts": [piece]}}, PROMPT)
            if model == "gemini-breaks":
                yield {"error": {"code": 503, "message": "Overloaded", "status": "UNAVAILABLE"}}
                return
    yield frame(model, {"content": {"role": "model", "parts": [{"text": ""}]},
                        "finishReason": reason}, USAGE)


class Gemini(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self):
        raw = self.rfile.read(int(self.headers["content-length"]))
        try:
            found = PATH.fullmatch(self.path)
            if not found:
                raise Refused(f"no such path: {self.path}", 404, "NOT_FOUND")
            model, method, sse = found.groups()
            body = camel(json.loads(raw))
            answer = self.answer(model, method, sse, body)
        except Refused as refused:
            return self.whole(refused.code, {"error": {
                "code": refused.code, "message": str(refused), "status": refused.status,
                "details": refused.details}})
        if answer is not None:
            self.whole(200, answer)

    def answer(self, model, method, sse, body):
        if self.headers.get_all("x-goog-api-key") != [KEY]:
            raise Refused("API key not valid.", details=[{"reason": "API_KEY_INVALID"}])
        must(self.headers.get("authorization") is None, "two credentials")
        if model == "gemini-overloaded":
            raise Refused("The model is overloaded.", 503, "UNAVAILABLE")
        if model.endswith("-limited"):
            kind = "type.googleapis.com/google.rpc.RetryInfo"
            raise Refused("Quota exceeded.", 429, "RESOURCE_EXHAUSTED",
                          [{"@type": kind, "retryDelay": "34.4s"}])
        match method:
            case "countTokens":
                known("request", body, {"contents", "generateContentRequest"})
                return {"totalTokens": 7}
            case "embedContent":
                must(body.get("model", f"models/{model}") == f"models/{model}", "model: other")
                return {"embedding": {"values": [0.25, -0.5]}}
            case "batchEmbedContents":
                for one in body["requests"]:
                    must(one.get("model") == f"models/{model}", "requests.model: not the path's")
                return {"embeddings": [{"values": [0.25, -0.5]} for _ in body["requests"]]}
            case "generateContent":
                check_body(model, body)
                return whole_answer(model, body)
            case "streamGenerateContent":
                must(sse, "the gateway asks for events")
                check_body(model, body)
                self.stream(frames(model, body), model.endswith("-slow"))
                return None
        raise Refused(f"no such method: {method}", 404, "NOT_FOUND")

    def whole(self, status, answer):
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json; charset=UTF-8")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def stream(self, answer, slow):
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        content = (f"data: {json.dumps(event)}\r\n\r\n".encode() for event in answer)
        leaving.write(self.wfile, content, slow)

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Gemini)
    print(server.server_port, flush=True)
    server.serve_forever()
