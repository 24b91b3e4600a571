#!/usr/bin/env python3
"""Makes src/price/builtin.txt, the price table that is built into the binary.

Facts only: USD prices and token bounds out of the JSON inside PyPI's `litellm` wheel (MIT), and for
providers that it does not list out of PyPI's `genai-prices` (MIT); the second also cross-checks the
first. Nothing of either package is executed. An update that loses more than 5 % of a provider's
models, or moves a price by more than a factor of five, is refused until --accept names it.

    prices/refresh.py                                  # newest wheels, writes the table
    prices/refresh.py --accept OpenAI/gpt-5 --accept models:Groq
    prices/refresh.py --wheels DIR                     # wheels that are there already, no network
"""

import argparse
import ast
import datetime
import json
import re
import subprocess
import sys
import tempfile
import zipfile
from decimal import Decimal
from pathlib import Path

TABLE = Path(__file__).resolve().parent.parent / "src" / "price" / "builtin.txt"
# A provider may lose so much of its models, and a price may move by such a factor, unasked.
MAX_LOSS = Decimal("0.05")
MAX_MOVE = Decimal(5)

# Our provider types with litellm's `litellm_provider` values and the prefixes of its keys.
LITELLM = {
    "openai": "OpenAI", "text-completion-openai": "OpenAI",
    "azure": "AzureOpenAI", "azure_text": "AzureOpenAI",
    "anthropic": "Anthropic", "gemini": "Gemini",
    "bedrock": "Bedrock", "bedrock_converse": "Bedrock",
    "mistral": "Mistral", "codestral": "Mistral",
    "cohere": "Cohere", "cohere_chat": "Cohere",
    "groq": "Groq", "deepseek": "DeepSeek", "xai": "XAI", "openrouter": "OpenRouter",
    "together_ai": "Together", "fireworks_ai": "Fireworks",
    "fireworks_ai-embedding-models": "Fireworks", "perplexity": "Perplexity",
}
PREFIXES = {"azure", "gemini", "vertex_ai", "mistral", "codestral", "cohere", "groq", "deepseek",
            "xai", "openrouter", "together_ai", "fireworks_ai", "perplexity", "openai", "anthropic"}
# Model ids of these have slashes of their own; a slash elsewhere is litellm's region, size or plan.
SLASHES = {"Groq", "OpenRouter", "Together", "Fireworks", "VertexAI", "Perplexity"}
# Size classes under which litellm prices models that it does not list: no names of models.
NO_MODEL = re.compile(r"^(together-ai|fireworks-ai)-|^sample_spec$")
MODES = {"chat", "responses", "completion", "embedding", "rerank", "moderation", "realtime",
         "image_generation", "image_edit", "audio_transcription", "audio_speech"}

# genai-prices' ids of providers.
GENAI = {
    "openai": ["OpenAI"], "azure": ["AzureOpenAI"], "anthropic": ["Anthropic"],
    "google": ["Gemini", "VertexAI"], "aws": ["Bedrock"], "mistral": ["Mistral"],
    "cohere": ["Cohere"], "groq": ["Groq"], "deepseek": ["DeepSeek"], "x-ai": ["XAI"],
    "openrouter": ["OpenRouter"], "together": ["Together"], "fireworks": ["Fireworks"],
    "perplexity": ["Perplexity"],
}

# Dimensions in the order in which they are written: ours, litellm's, genai-prices'. Per token, in
# USD for a million.
DIMENSIONS = [
    ("input", "input_cost_per_token", "input_mtok"),
    ("cachedInput", "cache_read_input_token_cost", "cache_read_mtok"),
    ("cacheWrite", "cache_creation_input_token_cost", "cache_write_mtok"),
    ("cacheWrite1h", "cache_creation_input_token_cost_above_1hr", "cache_write_1h_mtok"),
    ("output", "output_cost_per_token", "output_mtok"),
    ("reasoning", "output_cost_per_reasoning_token", "output_reasoning_mtok"),
    ("audioInput", "input_cost_per_audio_token", "input_audio_mtok"),
    ("audioOutput", "output_cost_per_audio_token", "output_audio_mtok"),
    ("imageInput", "input_cost_per_image_token", "input_image_mtok"),
    ("imageOutput", "output_cost_per_image_token", "output_image_mtok"),
]
BOUNDS = [("contextWindow", "max_input_tokens"), ("maxOutputTokens", "max_output_tokens")]
# litellm's suffixes of service tiers, with the words that answers carry in `service_tier`.
SERVICES = {"": "", "_flex": "flex", "_priority": "priority", "_batches": "batch"}
# Whose transcripts are asked for as OpenAI's are, so that the seconds of sound are known.
HEARD = {"openai", "azure", "groq"}
TRANSCRIPTIONS = "/v1/audio/transcriptions"
# What no token price expresses: a model that is charged so is left without a price.
OTHER_UNITS = ("_per_second", "_per_character", "_per_pixel", "_per_page", "_per_video", "_per_minute")


def million(value):
    """USD a token to USD a million."""
    return exact(Decimal(str(value)) * 1_000_000)


def unit(value):
    """USD a thing, to the pico-dollar."""
    return Decimal(str(value)).quantize(Decimal("0.000000000001")).normalize()


def exact(value):
    """USD a million, to the pico-dollar a token."""
    return value.quantize(Decimal("0.000001")).normalize()


def number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def litellm_name(key, provider):
    """The provider's own name of the model, or None if the key is none."""
    head, _, rest = key.partition("/")
    name = rest if head in PREFIXES and rest else key
    if NO_MODEL.match(name) or " " in name or ("/" in name and provider not in SLASHES):
        return None
    # Pictures priced by size and quality: `1024-x-1024/...`, `hd/...`, `low/...`.
    if re.match(r"^(\d+-x-\d+|hd|standard|low|medium|high|auto)/", name):
        return None
    return name


def litellm_entry(value):
    """Prices and bounds of one model, or None where it has no price that can be counted."""
    prices = {}
    for service, word in SERVICES.items():
        for dimension, field, _ in DIMENSIONS:
            pattern = re.compile(rf"^{field}(?:_above_(\d+)k_tokens)?{service}$")
            for name, price in value.items():
                found = pattern.match(name)
                if found and number(price) and price >= 0:
                    above = int(found[1] or 0) * 1000
                    prices[(word, above, dimension)] = million(price)
    base = {dimension for word, above, dimension in prices if (word, above) == ("", 0)}
    if "output_cost_per_image" in value and number(value["output_cost_per_image"]):
        if ("", 0, "imageOutput") not in prices:
            prices[("", 0, "image")] = unit(value["output_cost_per_image"])
    request = value.get("input_cost_per_request", value.get("input_cost_per_query"))
    if value.get("litellm_provider") == "perplexity" and value.get("mode") == "chat":
        # Sonar asks a fee for each request; `low` is its default size of search context.
        request = (value.get("search_context_cost_per_query") or {}).get("search_context_size_low")
    if number(request) and request > 0:
        prices[("", 0, "request")] = unit(request)
    second = value.get("input_cost_per_second") or value.get("output_cost_per_second")
    heard = value.get("litellm_provider") in HEARD and value.get("mode") == "audio_transcription"
    heard = heard and TRANSCRIPTIONS in value.get("supported_endpoints", [TRANSCRIPTIONS])
    heard = heard and number(second) and not any(price > 0 for price in prices.values())
    if heard:
        # The length of a sound is all that is billed of its transcript.
        prices = {("", 0, "audioSecond"): unit(second), ("", 0, "input"): Decimal(0),
                  ("", 0, "output"): Decimal(0)}
    counted = {key: price for key, price in prices.items() if price > 0}
    others = any(mark in name and number(price) and price > 0
                 for name, price in value.items() for mark in OTHER_UNITS)
    if not counted or (others and not heard and not {"input", "output"} <= base):
        return None
    prices.setdefault(("", 0, "input"), Decimal(0))
    prices.setdefault(("", 0, "output"), Decimal(0))
    bounds = {ours: int(value[theirs]) for ours, theirs in BOUNDS
              if number(value.get(theirs)) and 0 < value[theirs] <= 100_000_000}
    return {"bounds": bounds, "prices": tidy(prices)}


def tidy(prices):
    """Drops what says nothing: steps that lack input or output, and cache and modality prices of
    zero, which sources write where they know none."""
    complete = {(word, above) for word, above, dimension in prices if dimension == "input"
                and (word, above, "output") in prices}
    return {key: price for key, price in prices.items() if key[:2] in complete
            and (price > 0 or key[2] in ("input", "output"))}


def read_litellm(text):
    """(provider, model) to entry. A bare key and one with a prefix are the same model: the one with
    the prefix counts, for it is the provider's own."""
    entries = {}
    for key, value in sorted(json.loads(text).items(), key=lambda item: "/" in item[0]):
        source = value.get("litellm_provider", "")
        provider = "VertexAI" if source.startswith("vertex_ai") else LITELLM.get(source)
        if provider is None or value.get("mode", "chat") not in MODES:
            continue
        name = litellm_name(key, provider)
        entry = name and litellm_entry(value)
        if entry:
            entries[(provider, name)] = entry
    return entries


def literal(node):
    """A constructor call of genai-prices' data as a dictionary, without executing it."""
    if isinstance(node, ast.Call):
        name = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
        if name == "Decimal":
            return Decimal(node.args[0].value)
        if name in ("date", "time"):
            return tuple(literal(argument) for argument in node.args)
        return {"": name} | {word.arg: literal(word.value) for word in node.keywords}
    if isinstance(node, ast.List):
        return [literal(item) for item in node.elts]
    if isinstance(node, ast.Dict):
        return {literal(key): literal(value) for key, value in zip(node.keys, node.values)}
    return node.value if isinstance(node, ast.Constant) else None


def matches(clause, name):
    """genai-prices' rule for which names a model goes by."""
    kind, name = clause[""], name.lower()
    if kind == "ClauseOr":
        return any(matches(part, name) for part in clause["or_"])
    if kind == "ClauseAnd":
        return all(matches(part, name) for part in clause["and_"])
    if kind == "ClauseRegex":
        return re.search(clause["regex"], name) is not None
    text = next(value for key, value in clause.items() if key)
    return {"ClauseEquals": name == text, "ClauseStartsWith": name.startswith(text),
            "ClauseEndsWith": name.endswith(text), "ClauseContains": text in name}[kind]


def current(prices, today):
    """The prices that hold today, whatever the time of day."""
    if isinstance(prices, dict):
        return prices
    held = prices[0]["prices"]
    for conditional in prices[1:]:
        constraint = conditional.get("constraint") or {}
        if constraint.get("") == "StartDateConstraint" and constraint["start_date"] <= today:
            held = conditional["prices"]
    return held


def genai_entry(model, today):
    prices = {}
    for dimension, _, field in DIMENSIONS:
        value = current(model["prices"], today).get(field)
        if isinstance(value, dict):
            prices[("", 0, dimension)] = exact(value["base"])
            for tier in value["tiers"]:
                prices[("", tier["start"], dimension)] = exact(tier["price"])
        elif value is not None:
            prices[("", 0, dimension)] = exact(value)
    if prices and ("", 0, "input") in prices:
        prices.setdefault(("", 0, "output"), Decimal(0))
    window = model.get("context_window")
    return {"bounds": {"contextWindow": window} if window else {}, "prices": tidy(prices)}


def read_genai(text, today):
    """Provider to its models: (id, rule for names, entry)."""
    tree = ast.parse(text)
    value = next(node.value for node in tree.body if isinstance(node, ast.AnnAssign))
    providers = {}
    for provider in literal(value):
        models = [(model["id"], model["match"], genai_entry(model, today))
                  for model in provider["models"]]
        for ours in GENAI.get(provider["id"], []):
            providers[ours] = models
    return providers


def merge(litellm, genai):
    """litellm's entries, and genai-prices' for providers that litellm has nothing of. There a price
    of zero is a promise only where the name says so."""
    entries = {key: value | {"source": "litellm"} for key, value in litellm.items()}
    known = {provider for provider, _ in litellm}
    for provider, models in genai.items():
        for name, _, entry in models if provider not in known else []:
            paid = any(price > 0 for price in entry["prices"].values())
            if entry["prices"] and " " not in name and (paid or name.endswith(":free")):
                entries[(provider, name)] = entry | {"source": "genai-prices"}
    return entries


def disagreements(litellm, genai):
    """Lines about prices that the two sources do not agree on."""
    found = []
    for (provider, name), entry in sorted(litellm.items()):
        model = next((m for m in genai.get(provider, []) if matches(m[1], name)), None)
        for key in sorted(set(entry["prices"]) & set(model[2]["prices"] if model else [])):
            one, other = entry["prices"][key], model[2]["prices"][key]
            if one != other:
                found.append(f"{provider}/{name} {label(key)}: litellm {one:f}, "
                             f"genai-prices {other:f} ({model[0]})")
    return found


def label(key):
    """`input`, `priority.input`, `>200000.input`, `priority>200000.input`."""
    word, above, dimension = key
    step = word + (f">{above}" if above else "")
    return f"{step}.{dimension}" if step else dimension


def render(entries, header):
    order = {dimension: place for place, (dimension, _, _) in enumerate(DIMENSIONS)}
    rank = lambda key: (list(SERVICES.values()).index(key[0]), key[1], order.get(key[2], 99), key[2])
    lines = [f"# {line}" for line in header]
    for (provider, name), entry in sorted(entries.items()):
        fields = [f"{key}={entry['bounds'][key]}" for key, _ in BOUNDS if key in entry["bounds"]]
        fields += [f"{label(key)}={entry['prices'][key]:f}" for key in sorted(entry["prices"], key=rank)]
        mark = [] if entry["source"] == "litellm" else [f"source={entry['source']}"]
        lines.append(" ".join([provider, name, *mark, *fields]))
    return "\n".join(lines) + "\n"


def parse(text):
    """(provider, model) to {label: value} of a written table."""
    table = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            provider, name, *fields = line.split(" ")
            table[(provider, name)] = dict(field.split("=", 1) for field in fields)
    return table


def refusals(old, new, accepted):
    """Why the new table must not replace the old one unasked."""
    problems = []
    for provider in sorted({provider for provider, _ in old}):
        before = sum(1 for key in old if key[0] == provider)
        after = sum(1 for key in new if key[0] == provider)
        if after < before * (1 - MAX_LOSS) and f"models:{provider}" not in accepted:
            gone = sorted(name for p, name in set(old) - set(new) if p == provider)
            problems.append(f"models:{provider}: {before} models become {after}; gone: "
                            + ", ".join(gone[:20]) + (" ..." if len(gone) > 20 else ""))
    for key in sorted(set(old) & set(new)):
        name = "/".join(key)
        moved = [move for field in sorted(set(old[key]) & set(new[key]))
                 if (move := moves(field, old[key][field], new[key][field]))]
        if moved and name not in accepted:
            problems.append(f"{name}: " + ", ".join(moved))
    return problems


def moves(field, before, after):
    """How a price has moved, if by more than it may."""
    if field in ("source", *(bound for bound, _ in BOUNDS)):
        return None
    low, high = sorted([Decimal(before), Decimal(after)])
    return f"{field} {before} becomes {after}" if high > low * MAX_MOVE else None


def wheel(folder, package):
    """The package's wheel in a folder: its version and a reader of the files in it."""
    path = next(Path(folder).glob(f"{package.replace('-', '_')}-*.whl"))
    archive = zipfile.ZipFile(path)
    return path.name.split("-")[1], lambda name: archive.read(name).decode()


def download(folder):
    for package in ("litellm", "genai-prices"):
        subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps",
                        "--only-binary=:all:", "--disable-pip-version-check", "--dest", folder,
                        package], check=True)


def update(folder, table, accepted, today):
    """Writes the table, or says why not. Returns the exit code."""
    version, read = wheel(folder, "litellm")
    other_version, other_read = wheel(folder, "genai-prices")
    litellm = read_litellm(read("litellm/model_prices_and_context_window_backup.json"))
    genai = read_genai(other_read("genai_prices/data.py"), today)
    for line in disagreements(litellm, genai):
        print(f"differs: {line}")
    header = ["Made by prices/refresh.py; change nothing here. USD for a million tokens; image, "
              "audioSecond, request: USD each.", f"date {datetime.date(*today)}", f"source litellm {version} (MIT)",
              f"source genai-prices {other_version} (MIT)"]
    text = render(merge(litellm, genai), header)
    old = parse(table.read_text()) if table.exists() else {}
    problems = refusals(old, parse(text), accepted)
    for problem in problems:
        print(f"refused: {problem}", file=sys.stderr)
    if problems:
        print("nothing written; look at each, then name it by --accept", file=sys.stderr)
        return 1
    table.write_text(text)
    print(f"{len(parse(text))} models written to {table}")
    return 0


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--accept", action="append", default=[], metavar="WHAT",
                        help="Provider/model whose price may move, or models:Provider, which may shrink")
    parser.add_argument("--wheels", metavar="DIR", help="take the two wheels from here")
    parser.add_argument("--table", type=Path, default=TABLE, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    day = datetime.date.today()
    today = (day.year, day.month, day.day)
    if options.wheels:
        return update(options.wheels, options.table, set(options.accept), today)
    with tempfile.TemporaryDirectory() as folder:
        download(folder)
        return update(folder, options.table, set(options.accept), today)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
