//! Which source prices a model, under which of its names, and what is said of mistakes.

use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::{
    budget::TokenCounts,
    compile::{Meta, Object, compile},
    price::PriceSource,
    snapshot::{Model, Provider},
};

fn name(text: &str) -> ObjectName {
    let (namespace, name) = text.split_once('/').unwrap();
    ObjectName::new(namespace, name)
}

fn provider(inputs: &mut Inputs, text: &str, spec: Value) {
    let meta = Meta {
        name: name(text),
        uid: text.into(),
        generation: 1,
        created: None,
        labels: Default::default(),
    };
    let spec = Ok(Arc::new(serde_json::from_value(spec).unwrap()));
    inputs.providers.insert(name(text), Object { meta, spec });
}

fn prices(inputs: &mut Inputs, text: &str, yaml: &str) {
    let data = [(PRICES_KEY.to_owned(), yaml.to_owned())].into();
    inputs.price_lists.insert(name(text), PriceData { uid: text.into(), data });
}

/// An OpenAI provider `a/openai` that lists `own` alone.
fn inputs() -> Inputs {
    let mut inputs = Inputs::default();
    let own =
        json!({"name": "own", "pricing": {"input": "7", "output": "7"}, "maxOutputTokens": 70});
    provider(
        &mut inputs,
        "a/openai",
        json!({"type": "OpenAI", "models": [own, {"name": "gpt-5-mini"}]}),
    );
    inputs
}

fn compiled(inputs: &Inputs, provider: &str) -> Arc<Provider> {
    compile(inputs).snapshot.providers[&name(provider)].clone()
}

fn model(inputs: &Inputs, model: &str) -> Model {
    compiled(inputs, "a/openai").model(model)
}

/// What a million input tokens cost, and who says so.
fn charged(model: &Model) -> (String, PriceSource) {
    let tokens = TokenCounts { input: 1_000_000, ..TokenCounts::default() };
    let cost = model.price.as_ref().map(|price| price.cost(&tokens).to_string());
    (cost.unwrap_or_default(), model.price_source)
}

const OVERLAY: &str = r#"
prices:
- provider: OpenAI
  models:
  - {name: own, pricing: {input: "5", output: "5"}}
  - {name: gpt-5-mini, pricing: {input: "5", output: "5"}}
  - {name: only-here, pricing: {input: "5", output: "5"}, maxOutputTokens: 55}
- provider: a/openai
  models:
  - {name: only-here, pricing: {input: "6", output: "6"}}
"#;

#[test]
fn the_providers_own_price_precedes_overlays_and_these_the_builtin_table() {
    let mut inputs = inputs();
    let (cost, source) = charged(&model(&inputs, "gpt-5-mini"));
    assert_eq!((cost.as_str(), source), ("0.25", PriceSource::Builtin));
    prices(&mut inputs, "sluice-system/prices", OVERLAY);
    for (model, expected) in [
        ("own", ("7", PriceSource::Provider)),
        ("gpt-5-mini", ("5", PriceSource::Overlay)),
        // The list of the one provider is more precise than that of its type.
        ("only-here", ("6", PriceSource::Overlay)),
        ("gpt-5-nano", ("0.05", PriceSource::Builtin)),
        ("nobody-knows", ("", PriceSource::None)),
    ] {
        let (cost, source) = charged(&self::model(&inputs, model));
        assert_eq!((cost.as_str(), source), expected, "{model}");
    }
    inputs.settings.builtin_prices = false;
    assert_eq!(charged(&model(&inputs, "gpt-5-nano")).1, PriceSource::None);
    assert_eq!(charged(&model(&inputs, "gpt-5-mini")).1, PriceSource::Overlay);
}

#[test]
fn a_dated_name_is_found_under_the_plain_one_of_the_most_precise_source() {
    let mut inputs = inputs();
    prices(&mut inputs, "sluice-system/prices", OVERLAY);
    for (model, cost) in
        [("own-2026-01-31", "7"), ("gpt-5-mini-2025-08-07", "5"), ("only-here-latest", "6")]
    {
        assert_eq!(charged(&self::model(&inputs, model)).0, cost, "{model}");
    }
}

#[test]
fn a_bound_that_nobody_configured_comes_from_the_table_and_is_assumed_in_part() {
    let mut inputs = inputs();
    prices(&mut inputs, "sluice-system/prices", OVERLAY);
    let bounds = |model: &str| {
        let model = self::model(&inputs, model);
        (model.output_cap(), model.assumed_output())
    };
    assert_eq!(bounds("own"), (Some(70), Some(70)));
    assert_eq!(bounds("only-here"), (Some(55), Some(55)));
    assert_eq!(bounds("gpt-5-mini"), (Some(128_000), Some(16_384)));
    assert_eq!(bounds("nobody-knows"), (None, None));
}

#[test]
fn overlays_price_types_that_no_table_knows() {
    let mut inputs = inputs();
    let spec = json!({"type": "VLLM", "endpoint": "http://llm.test/v1"});
    provider(&mut inputs, "a/vllm", spec);
    let yaml = r#"prices: [{provider: VLLM, models: [{name: llama, pricing: {input: "0.1", output: "0.2"}}]}]"#;
    prices(&mut inputs, "sluice-system/prices", yaml);
    assert_eq!(charged(&compiled(&inputs, "a/vllm").model("llama")).0, "0.1");
    assert_eq!(charged(&model(&inputs, "llama")).1, PriceSource::None);
}

#[test]
fn every_dimension_and_tier_of_a_manifest_is_charged() {
    let mut inputs = Inputs::default();
    let pricing = json!({
        "input": "1", "output": "2", "cachedInput": "0.1", "cacheWrite": "1.25", "cacheWrite1h": "2",
        "reasoning": "3", "audioInput": "4", "audioOutput": "5", "imageInput": "6", "imageOutput": "7",
        "image": "0.04", "audioSecond": "0.0001", "request": "0.005",
        "tiers": [
            {"aboveInputTokens": 1000, "input": "10", "output": "20"},
            {"serviceTier": "Priority", "input": "100", "output": "200", "cachedInput": "50"},
        ],
    });
    let models = json!([{"name": "m", "pricing": pricing}]);
    provider(&mut inputs, "a/openai", json!({"type": "OpenAI", "models": models}));
    let price = model(&inputs, "m").price.unwrap();
    let one =
        |tokens: TokenCounts| price.cost(&TokenCounts { requests: 1, ..tokens }).0 - 5_000_000;
    let t = TokenCounts::default();
    assert_eq!(one(TokenCounts { input: 1, ..t }), 1_000);
    assert_eq!(one(TokenCounts { output: 1, ..t }), 2_000);
    assert_eq!(one(TokenCounts { input: 1, cached_input: 1, ..t }), 100);
    assert_eq!(one(TokenCounts { input: 1, cache_write: 1, ..t }), 1_250);
    assert_eq!(one(TokenCounts { input: 1, cache_write: 1, cache_write_1h: 1, ..t }), 2_000);
    assert_eq!(one(TokenCounts { output: 1, reasoning: 1, ..t }), 3_000);
    assert_eq!(one(TokenCounts { input: 1, audio_input: 1, ..t }), 4_000);
    assert_eq!(one(TokenCounts { output: 1, audio_output: 1, ..t }), 5_000);
    assert_eq!(one(TokenCounts { input: 1, image_input: 1, ..t }), 6_000);
    assert_eq!(one(TokenCounts { output: 1, image_output: 1, ..t }), 7_000);
    assert_eq!(one(TokenCounts { images: 1, ..t }), 40_000_000);
    assert_eq!(one(TokenCounts { audio_seconds: 3, ..t }), 300_000);
    assert_eq!(one(TokenCounts { input: 1001, ..t }), 10_010_000);
    let service_tier = crate::budget::ServiceTier::Priority;
    assert_eq!(one(TokenCounts { input: 2, cached_input: 1, service_tier, ..t }), 150_000);
}

fn mistakes(yaml: &str) -> Vec<String> {
    let mut inputs = inputs();
    prices(&mut inputs, "sluice-system/prices", yaml);
    let mut notes = compile(&inputs).price_notes;
    let note = notes.remove(&name("sluice-system/prices")).unwrap_or_default();
    note.messages().cloned().collect()
}

#[test]
fn each_mistake_is_named_by_its_place_and_costs_only_itself() {
    let mut inputs = inputs();
    prices(
        &mut inputs,
        "sluice-system/prices",
        r#"
prices:
- provider: OpenAI
  models:
  - {name: good, pricing: {input: "1", output: "1"}}
  - {name: good, pricing: {input: "2", output: "2"}}
  - {name: number, pricing: {input: 1, output: "1"}}
  - {name: none}
  - {name: cheap, pricing: {input: "-1", output: "1"}}
  - {name: colour, pricing: {input: "1", output: "1"}, colour: blue}
  - {name: most, maxOutputTokens: 0}
  - {name: also-good, pricing: {input: "3", output: "3"}}
- provider: Nobody
  models: []
- {models: []}
"#,
    );
    let compiled = compile(&inputs);
    let note = &compiled.price_notes[&name("sluice-system/prices")];
    assert_eq!(&*note.uid, "sluice-system/prices");
    let places: Vec<_> =
        note.mistakes.iter().map(|text| text.split([':', ' ']).next().unwrap()).collect();
    let models = (1..7).map(|at| format!("prices[0].models[{at}]"));
    let expected: Vec<_> = models.chain(["prices[1]".into(), "prices[2]".into()]).collect();
    assert_eq!(places, expected, "{:#?}", note.mistakes);
    assert!(note.mistakes[0].contains("already stands in ConfigMap sluice-system/prices"));
    let provider = &compiled.snapshot.providers[&name("a/openai")];
    assert_eq!(charged(&provider.model("good")).0, "1");
    assert_eq!(charged(&provider.model("also-good")).0, "3");
}

#[test]
fn a_text_that_is_no_list_of_prices_says_what_to_write() {
    for yaml in ["", "prices: [", "prices: {}", "price: []", "- a"] {
        let mistakes = mistakes(yaml);
        assert!(mistakes[0].contains("write for example prices:"), "{yaml}: {mistakes:?}");
    }
    assert!(mistakes("prices: []").is_empty());
    let missing = "prices: [{provider: a/gone, models: [{name: m, maxOutputTokens: 1}]}]";
    assert!(mistakes(missing)[0].contains("AIProvider a/gone does not exist"));
}

#[test]
fn a_config_map_of_another_namespace_or_without_the_key_is_told_and_not_used() {
    let mut inputs = inputs();
    prices(&mut inputs, "team/prices", OVERLAY);
    let data = [("price.yaml".to_owned(), OVERLAY.to_owned())].into();
    inputs.price_lists.insert(name("sluice-system/x"), PriceData { uid: "x".into(), data });
    let notes = compile(&inputs).price_notes;
    assert!(notes[&name("team/prices")].mistakes[0].contains("own namespace, sluice-system"));
    assert!(notes[&name("sluice-system/x")].mistakes[0].contains("it has: price.yaml"));
    assert_eq!(charged(&model(&inputs, "gpt-5-mini")).1, PriceSource::Builtin);
}
