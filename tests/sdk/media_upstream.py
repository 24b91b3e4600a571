"""A provider of OpenAI's endpoints that take forms, strict: what OpenAI would refuse is refused, and so
is a form that two readers could take for two. Also of its embeddings."""

import email
import hashlib
import json
import re
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KEY = "sk-upstream"
# Fields of each endpoint, by OpenAI's API reference; True: a file.
SOUND = {"file": True, "model": False, "prompt": False, "response_format": False, "temperature": False}
ENDPOINTS = {
    "/v1/audio/transcriptions": SOUND | {
        "language": False, "stream": False, "include[]": False, "timestamp_granularities[]": False,
        "chunking_strategy": False},
    "/v1/audio/translations": SOUND,
    "/v1/images/edits": {
        "image": True, "image[]": True, "mask": True, "model": False, "prompt": False, "n": False,
        "size": False, "quality": False, "background": False, "user": False},
    "/v1/images/variations": {
        "image": True, "model": False, "n": False, "size": False, "response_format": False,
        "user": False},
}
MODELS = {"gpt-4o-transcribe", "whisper-1", "gpt-image-1", "limited"}


class Refused(Exception):
    def __init__(self, message, status=400, code="invalid_request_error"):
        super().__init__(message)
        self.status, self.code = status, code


def must(holds, message):
    if not holds:
        raise Refused(message)


def parts(content_type, body):
    """(name, file name or None, content) of each part of a form that is written as RFC 7578 says."""
    found = re.fullmatch(r'multipart/form-data; boundary=("?)([0-9A-Za-z\'()+_,\-./:=?]{1,70})\1', content_type)
    must(found, f"content-type {content_type!r}")
    delimiter = b"--" + found[2].encode()
    must(body.startswith(delimiter + b"\r\n"), "the form does not begin with its boundary")
    must(body.endswith(b"\r\n" + delimiter + b"--\r\n") or body.endswith(b"\r\n" + delimiter + b"--"),
         "the form does not end with its boundary")
    inner = b"\r\n" + body[:body.rindex(delimiter + b"--")]
    pieces = inner.split(b"\r\n" + delimiter + b"\r\n")[1:]
    read = []
    for piece in pieces:
        head, blank, content = piece.partition(b"\r\n\r\n")
        must(blank, "a part without a blank line")
        lines = [line for line in head.decode().split("\r\n") if line.lower().startswith("content-disposition:")]
        must(len(lines) == 1, "a part needs one content-disposition")
        said = re.fullmatch(r'content-disposition: form-data; name="([^"\\]+)"(?:; filename="([^"]*)")?',
                            lines[0], re.IGNORECASE)
        must(said, f"malformed {lines[0]!r}")
        read.append((said[1], said[2], content))
    if read:
        read[-1] = (*read[-1][:2], read[-1][2].removesuffix(b"\r\n"))
    same_as_pythons_own_reader(content_type, body, read)
    return read


def same_as_pythons_own_reader(content_type, body, read):
    message = email.message_from_bytes(b"content-type: " + content_type.encode() + b"\r\n\r\n" + body)
    must(message.is_multipart() and not message.defects, f"defects: {message.defects}")
    names = [part.get_param("name", header="content-disposition") for part in message.get_payload()]
    must(names == [name for name, _, _ in read], f"{names} are not the parts")


def fields_of(path, content_type, body):
    known, texts, files = ENDPOINTS[path], {}, {}
    for name, filename, content in parts(content_type, body):
        must(name in known, f"Unrecognized field {name!r}")
        must(known[name] == (filename is not None), f"{name!r} has the wrong kind")
        many = name.endswith("[]")
        must(many or name not in texts | files, f"{name!r} is given twice")
        into = files if known[name] else texts
        value = content if known[name] else content.decode()
        into.setdefault(name, []).append(value) if many else into.__setitem__(name, value)
    must(texts.get("model") in MODELS, f"The model {texts.get('model')!r} does not exist")
    must(files, "a file is missing")
    if texts["model"] == "limited":
        raise Refused("Rate limit reached", 429, "rate_limit_exceeded")
    return texts, files


def digest(content):
    return hashlib.sha256(content).hexdigest()[:16]


def tokens(texts, files):
    return {"type": "tokens", "input_tokens": 14, "output_tokens": 6, "total_tokens": 20,
            "input_token_details": {"text_tokens": 4, "audio_tokens": 10}}


def transcript(path, texts, files):
    """What is said: the file's digest, so that a changed byte is noticed."""
    text = f"{'translated' if path.endswith('translations') else 'heard'} {digest(files['file'])}"
    form = texts.get("response_format", "json")
    if form in ("text", "srt", "vtt"):
        return text + "\n"
    if form == "verbose_json":
        return {"task": "transcribe", "language": "en", "duration": 2.5, "text": text, "segments": [],
                "usage": {"type": "duration", "seconds": 3}}
    usage = {"type": "duration", "seconds": 3} if texts["model"] == "whisper-1" else tokens(texts, files)
    return {"text": text, "usage": usage}


def transcript_events(texts, files):
    text = f"heard {digest(files['file'])}"
    for piece in text.split(" "):
        yield {"type": "transcript.text.delta", "delta": f" {piece}"}
    yield {"type": "transcript.text.done", "text": text, "usage": tokens(texts, files)}


def images(texts, files):
    sources = files.get("image[]") or [files["image"]]
    made = {"b64_json": "", "revised_prompt": " ".join(digest(source) for source in sources)}
    return {"created": 1, "data": [made] * int(texts.get("n", 1)), "usage": {
        "input_tokens": 320, "input_tokens_details": {"text_tokens": 20, "image_tokens": 300},
        "output_tokens": 1056, "total_tokens": 1376}}


def embeddings(body):
    must(set(body) <= {"model", "input", "encoding_format", "dimensions", "user"}, f"fields {set(body)}")
    must(body["model"] == "text-embedding-3-small", "model")
    must(body["input"] and all(isinstance(text, str) and text for text in body["input"]), "input")
    length = body.get("dimensions", 4)
    data = [{"object": "embedding", "index": at, "embedding": [len(text) / 8] * length}
            for at, text in enumerate(body["input"])]
    return {"object": "list", "data": data, "model": body["model"],
            "usage": {"prompt_tokens": 7, "total_tokens": 7}}


class Provider(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self):
        raw = self.rfile.read(int(self.headers["content-length"]))
        try:
            if self.headers.get("authorization") != f"Bearer {KEY}":
                raise Refused("Incorrect API key provided", 401, "invalid_api_key")
            if self.path == "/v1/embeddings":
                return self.whole(200, embeddings(json.loads(raw)))
            if self.path not in ENDPOINTS:
                raise Refused(f"Invalid URL ({self.path})", 404)
            texts, files = fields_of(self.path, self.headers["content-type"], raw)
        except Refused as refused:
            error = {"message": str(refused), "type": "invalid_request_error", "param": None,
                     "code": refused.code}
            return self.whole(refused.status, {"error": error})
        if "images" in self.path:
            return self.whole(200, images(texts, files))
        # OpenAI's whisper-1 takes no notice of `stream`.
        if texts.get("stream") == "true" and texts["model"] != "whisper-1":
            return self.stream(transcript_events(texts, files))
        return self.whole(200, transcript(self.path, texts, files))

    def whole(self, status, answer):
        plain = isinstance(answer, str)
        content = answer.encode() if plain else json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-type", "text/plain; charset=utf-8" if plain else "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def stream(self, events):
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for event in events:
            content = f"data: {json.dumps(event)}\n\n".encode()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(content), content))
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    print(server.server_port, flush=True)
    server.serve_forever()
