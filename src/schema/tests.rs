//! Verdicts that need no API server to be known; suite `crd` compares all others with a real one.

use serde_json::json;

use super::*;

fn messages(object: &Value) -> Vec<String> {
    let schemas = Schemas::new().unwrap();
    schemas.validate(object).into_iter().map(|violation| violation.message).collect()
}

fn provider(spec: Value) -> Value {
    json!({"apiVersion": "sluice.dev/v1alpha1", "kind": "AIProvider",
           "metadata": {"name": "x"}, "spec": spec})
}

#[test]
fn smallest_objects_are_accepted() {
    assert_eq!(messages(&provider(json!({"type": "OpenAI"}))), Vec::<String>::new());
}

#[test]
fn every_mistake_is_reported_with_place_and_remedy() {
    let schemas = Schemas::new().unwrap();
    let found = schemas.validate(&provider(json!({"type": "OpenAi", "endpiont": "http://x"})));
    assert_eq!(found.len(), 2, "{found:?}");
    assert_eq!(found[0].pointer, "/spec/endpiont");
    assert_eq!(found[0].message, "unknown field \"spec.endpiont\": did you mean endpoint?");
    assert!(found[1].message.contains("did you mean \"OpenAI\"?"), "{found:?}");
}

#[test]
fn rules_speak_at_their_own_place() {
    let found = messages(&provider(json!({"type": "Mock", "endpoint": "ftp://x"})));
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].starts_with("spec: Invalid value: type Mock answers by itself"));
    assert!(found[1].starts_with("spec.endpoint: Invalid value: \"ftp://x\": endpoint is"));
}

#[test]
fn explicit_nulls_are_absent_as_in_the_api_server() {
    let object = provider(json!({"type": "OpenAI", "headers": null, "endpoint": null}));
    assert_eq!(messages(&object), Vec::<String>::new());
    let normal = Schemas::new().unwrap().normalize(object);
    assert_eq!(normal["spec"], json!({"type": "OpenAI"}));
    assert!(messages(&provider(json!({"type": null})))[0].contains("spec.type: Required value"));
}

#[test]
fn documents_of_other_tools_are_none_of_ours() {
    for document in [json!({"resources": []}), json!({}), json!({"apiVersion": "v2", "name": "x"})]
    {
        assert_eq!(messages(&document), Vec::<String>::new(), "{document}");
    }
    let forgotten = json!({"metadata": {"name": "x"}, "spec": {"models": ["a"]}});
    assert!(messages(&forgotten)[0].contains("apiVersion not set"));
}

#[test]
fn kinds_that_do_not_exist_are_refused_with_those_that_do() {
    let object = json!({"apiVersion": "sluice.dev/v1alpha1", "kind": "AIRoutes"});
    assert_eq!(
        messages(&object),
        ["no matches for kind \"AIRoutes\" in version \"sluice.dev/v1alpha1\": did you mean \
          AIRoute? sluice.dev/v1alpha1 has AIBudget, AIProvider, AIRoute"]
    );
    let object = json!({"apiVersion": "sluice.dev/v1", "kind": "AIRoute"});
    assert!(messages(&object)[0].contains("has AIBudget, AIProvider, AIRoute"));
    assert!(messages(&json!({"kind": "AIRoute"}))[0].contains("apiVersion: sluice.dev/v1alpha1"));
}

#[test]
fn objects_of_others_are_not_checked() {
    let object = json!({"apiVersion": "apps/v1", "kind": "Deployment", "spec": 5});
    let schemas = Schemas::new().unwrap();
    assert_eq!(schemas.validate(&object), vec![]);
    assert_eq!(schemas.subject(&object), Subject::Foreign("apps/v1".into(), "Deployment".into()));
}

fn key_secret(data: Value, annotations: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Secret", "type": "sluice.dev/api-key",
           "metadata": {"name": "k", "annotations": annotations}, "stringData": data})
}

#[test]
fn key_secrets_need_a_key_or_its_hash() {
    let hash = format!("sha256:{}", "0a".repeat(32));
    assert_eq!(messages(&key_secret(json!({"keyHash": hash}), json!({}))), Vec::<String>::new());
    assert_eq!(messages(&key_secret(json!({"key": "sk"}), json!({}))), Vec::<String>::new());
    assert!(messages(&key_secret(json!({"keys": "sk"}), json!({})))[0].contains("needs key"));
    let short = messages(&key_secret(json!({"keyHash": "sha256:abc"}), json!({})));
    assert!(short[0].contains("64 hex digits") && !short[0].contains("abc"), "{short:?}");
}

#[test]
fn expiry_must_be_a_time_and_data_base64() {
    let late = key_secret(json!({"key": "a"}), json!({"sluice.dev/expires": "tomorrow"}));
    assert!(messages(&late)[0].contains("RFC 3339"));
    let object = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "k"},
                        "data": {"key": "not base64!"}});
    let found = messages(&object);
    assert!(found[0].contains("stringData") && !found[0].contains("not base64!"), "{found:?}");
}

#[test]
fn labels_and_names_follow_the_core_api() {
    let object = json!({"apiVersion": "v1", "kind": "Namespace",
                        "metadata": {"name": "a.b", "labels": {"a b": "x y", "n": 5}}});
    let found = messages(&object).join("\n");
    for text in [
        "metadata.name: Invalid value: \"a.b\"",
        "\"a b\": name part",
        "\"x y\": a valid",
        "metadata.labels of type string",
    ] {
        assert!(found.contains(text), "{text} in {found}");
    }
}
