"""The table's maker on small inputs, without a network: python3 -m unittest discover -s prices"""

import io
import json
import tempfile
import unittest
import zipfile
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import refresh

TODAY = (2026, 11, 22)
LITELLM = {
    "sample_spec": {"litellm_provider": "one of them", "input_cost_per_token": 0.0},
    "gpt-a": {
        "litellm_provider": "openai", "mode": "chat", "max_input_tokens": 272000,
        "max_output_tokens": 128000, "input_cost_per_token": 2.5e-07, "output_cost_per_token": 2e-06,
        "cache_read_input_token_cost": 2.5e-08, "cache_creation_input_token_cost": 0.0,
        "input_cost_per_token_above_272k_tokens": 5e-07, "output_cost_per_token_above_272k_tokens": 3e-06,
        "input_cost_per_token_priority": 4.5e-07, "output_cost_per_token_priority": 3.6e-06,
        "input_cost_per_token_flex": 1e-07, "supports_vision": True,
    },
    "azure/eu/gpt-a": {"litellm_provider": "azure", "mode": "chat", "input_cost_per_token": 1e-06,
                       "output_cost_per_token": 1e-06},
    "whisper": {"litellm_provider": "openai", "mode": "audio_transcription", "input_cost_per_second": 1e-4},
    "live": {"litellm_provider": "openai", "mode": "audio_transcription", "input_cost_per_second": 1e-4,
             "supported_endpoints": ["/v1/realtime"]},
    "video": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_second": 1e-4},
    "free": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 0.0,
             "output_cost_per_token": 0.0},
    "picture": {"litellm_provider": "openai", "mode": "image_generation", "output_cost_per_image": 0.04},
    "rerank-a": {"litellm_provider": "cohere", "mode": "rerank", "input_cost_per_query": 0.002},
    "perplexity/sonar": {
        "litellm_provider": "perplexity", "mode": "chat", "input_cost_per_token": 1e-06,
        "output_cost_per_token": 1e-06,
        "search_context_cost_per_query": {"search_context_size_low": 0.005, "search_context_size_high": 0.012},
    },
    "groq/openai/oss": {"litellm_provider": "groq", "mode": "chat", "input_cost_per_token": 1.5e-07,
                        "output_cost_per_token": 6e-07},
    "vertex_ai/claude@20250101": {
        "litellm_provider": "vertex_ai-anthropic_models", "mode": "chat", "input_cost_per_token": 3e-06,
        "output_cost_per_token": 1.5e-05, "cache_creation_input_token_cost": 3.75e-06,
        "cache_creation_input_token_cost_above_1hr": 6e-06,
    },
    "elsewhere/gpt-a": {"litellm_provider": "elsewhere", "mode": "chat", "input_cost_per_token": 1.0},
}
GENAI = """
providers: list[Provider] = [
    Provider(id='openai', models=[
        ModelInfo(id='gpt-a', match=ClauseOr(or_=[ClauseEquals(equals='gpt-a'), ClauseStartsWith(starts_with='gpt-b')]),
            prices=[
                ConditionalPrice(prices=ModelPrice(input_mtok=Decimal('9'), output_mtok=Decimal('9'))),
                ConditionalPrice(constraint=StartDateConstraint(start_date=datetime.date(2026, 1, 1)),
                    prices=ModelPrice(input_mtok=TieredPrices(base=Decimal('0.25'), tiers=[Tier(start=272000, price=Decimal('0.6'))]),
                                      output_mtok=TieredPrices(base=Decimal('2'), tiers=[Tier(start=272000, price=Decimal('3'))]))),
                ConditionalPrice(constraint=StartDateConstraint(start_date=datetime.date(2027, 1, 1)),
                    prices=ModelPrice(input_mtok=Decimal('7'), output_mtok=Decimal('7'))),
            ]),
    ]),
    Provider(id='openrouter', models=[
        ModelInfo(id='a/b', match=ClauseEquals(equals='a/b'), context_window=1000,
            prices=ModelPrice(input_mtok=Decimal('1'), output_mtok=Decimal('2'), cache_write_mtok=Decimal('0.0833333333333'))),
        ModelInfo(id='a/b:free', match=ClauseEquals(equals='a/b:free'),
            prices=ModelPrice(input_mtok=Decimal('0'), output_mtok=Decimal('0'))),
        ModelInfo(id='a/unknown', match=ClauseEquals(equals='a/unknown'),
            prices=ModelPrice(input_mtok=Decimal('0'), output_mtok=Decimal('0'))),
    ]),
]
"""


def wheels(folder, litellm):
    with zipfile.ZipFile(Path(folder) / "litellm-1.2.3-py3-none-any.whl", "w") as file:
        file.writestr("litellm/model_prices_and_context_window_backup.json", json.dumps(litellm))
    with zipfile.ZipFile(Path(folder) / "genai_prices-0.1.0-py3-none-any.whl", "w") as file:
        file.writestr("genai_prices/data.py", GENAI)


class Refresh(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.table = self.folder / "builtin.txt"

    def update(self, litellm, *accepted):
        wheels(self.folder, litellm)
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            code = refresh.update(self.folder, self.table, set(accepted), TODAY)
        return code, out.getvalue(), err.getvalue()

    def test_the_table_is_sorted_exact_and_names_its_sources(self):
        code, _, _ = self.update(LITELLM)
        self.assertEqual(code, 0)
        lines = self.table.read_text().splitlines()
        self.assertEqual(lines[1:4], ["# date 2026-11-22", "# source litellm 1.2.3 (MIT)",
                                      "# source genai-prices 0.1.0 (MIT)"])
        self.assertEqual(lines[4:], [
            "Cohere rerank-a input=0 output=0 request=0.002",
            "Groq openai/oss input=0.15 output=0.6",
            "OpenAI gpt-a contextWindow=272000 maxOutputTokens=128000 input=0.25 cachedInput=0.025 "
            "output=2 >272000.input=0.5 >272000.output=3 priority.input=0.45 priority.output=3.6",
            "OpenAI picture input=0 output=0 image=0.04",
            "OpenAI whisper input=0 output=0 audioSecond=0.0001",
            "OpenRouter a/b source=genai-prices contextWindow=1000 input=1 cacheWrite=0.083333 output=2",
            "OpenRouter a/b:free source=genai-prices input=0 output=0",
            "Perplexity sonar input=1 output=1 request=0.005",
            "VertexAI claude@20250101 input=3 cacheWrite=3.75 cacheWrite1h=6 output=15",
        ])

    def test_disagreements_of_the_sources_are_printed(self):
        _, out, _ = self.update(LITELLM)
        differs = [line for line in out.splitlines() if line.startswith("differs")]
        self.assertEqual(differs, ["differs: OpenAI/gpt-a >272000.input: litellm 0.5, genai-prices 0.6 (gpt-a)"])

    def many(self, count, price=1e-06):
        return {f"m-{n:03}": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": price,
                              "output_cost_per_token": price} for n in range(count)}

    def test_a_provider_that_shrinks_by_more_than_a_twentieth_is_refused_until_accepted(self):
        self.update(self.many(100))
        before = self.table.read_text()
        code, _, err = self.update(self.many(94))
        self.assertEqual((code, self.table.read_text()), (1, before))
        self.assertIn("models:OpenAI: 100 models become 94; gone: m-094", err)
        self.assertEqual(self.update(self.many(95))[0], 0)
        self.update(self.many(100))
        self.assertEqual(self.update(self.many(94), "models:OpenAI")[0], 0)

    def test_a_price_that_moves_by_more_than_five_is_refused_until_accepted(self):
        self.update(self.many(20))
        self.assertEqual(self.update(self.many(20, 5e-06))[0], 0)
        moved = self.many(20, 5e-06) | {"m-007": {"litellm_provider": "openai", "mode": "chat",
                                                 "input_cost_per_token": 9e-07, "output_cost_per_token": 5e-06}}
        code, _, err = self.update(moved)
        self.assertEqual(code, 1)
        self.assertIn("OpenAI/m-007: input 5 becomes 0.9", err)
        self.assertNotIn("m-008", err)
        self.assertEqual(self.update(moved, "OpenAI/m-006")[0], 1)
        self.assertEqual(self.update(moved, "OpenAI/m-007")[0], 0)


if __name__ == "__main__":
    unittest.main()
