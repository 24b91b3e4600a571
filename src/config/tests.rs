//! What a user can write into `sluice.yaml`, flags and variables.

use std::path::Path;

use super::{Config, ConfigError, Dimension, Override, log::Format};

fn parse(text: &str) -> Result<Config, ConfigError> {
    let value = Config::parse(Path::new("sluice.yaml"), text)?;
    Ok(serde_json::from_value(value).unwrap())
}

fn load(flags: &[&str], variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let mut overrides = Override::from_environment(
        variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
    );
    for flag in flags {
        overrides.push(Override::from_flag(flag)?);
    }
    Config::load(None, &overrides)
}

#[test]
fn everything_is_optional() {
    let config = load(&[], &[]).unwrap();
    assert_eq!(config.listeners[0].address.to_string(), "0.0.0.0:8080");
    assert_eq!(config.admin.address.to_string(), "127.0.0.1:9090");
    assert_eq!(parse("# nothing\n").unwrap(), Config::default());
    assert!(config.prices.builtin);
    assert!(!load(&["prices.builtin=false"], &[]).unwrap().prices.builtin);
}

#[test]
fn unknown_keys_and_impossible_values_name_their_line() {
    for (text, place, expected) in [
        ("gateway:\n  namspace: x\n", "sluice.yaml:2:", "namspace"),
        ("limits:\n  drain: soon\n", "sluice.yaml:2:", "not a duration"),
        ("# x\nlimits:\n  maxBodySize: 32MB\n", "sluice.yaml:3:", "not a size"),
        ("listeners:\n- address: here\n", "sluice.yaml:2:", "address"),
        ("limits: [\n", "sluice.yaml:1:", ""),
        ("limits: {}\nlimits: {}\n", "sluice.yaml:2:", "duplicate"),
    ] {
        let error = parse(text).unwrap_err().to_string();
        assert!(error.starts_with(place), "{error}");
        assert!(error.contains(expected) && !error.contains('\n'), "{error}");
    }
}

#[test]
fn a_namespace_that_cannot_exist_is_refused() {
    for flag in ["watch.namespaces=[team_a]", "gateway.namespace=Sluice"] {
        let error = load(&[flag], &[]).unwrap_err().to_string();
        assert!(error.contains(flag) && error.contains("is no namespace"), "{error}");
    }
}

#[test]
fn of_several_overrides_the_mistaken_one_is_named() {
    let error = load(&["limits.drain=soon", "limits.maxBodySize=1"], &[]).unwrap_err().to_string();
    assert!(error.starts_with("--set limits.drain=soon: "), "{error}");
}

#[test]
fn flags_win_over_variables() {
    let variables = [("SLUICE_LIMITS__DRAIN", "5s"), ("SLUICE_LIMITS__MAX_BODY_SIZE", "1Mi")];
    let config = load(&["limits.drain=7s", "telemetry.logs.format=text"], &variables).unwrap();
    assert_eq!(config.limits.drain.get().as_secs(), 7);
    assert_eq!(config.limits.max_body_size.0, 1 << 20);
    assert_eq!(config.telemetry.logs.format, Format::Text);
}

#[test]
fn lists_can_be_set_by_a_flag() {
    let config = load(&["watch.namespaces=[a, b]"], &[]).unwrap();
    assert_eq!(config.watch.namespaces, ["a", "b"]);
}

#[test]
fn a_mistaken_override_is_named() {
    for flag in ["limits.drian=5s", "limits", "limits.drain.x=1", "=1"] {
        let error = load(&[flag], &[]).unwrap_err().to_string();
        assert!(error.contains(flag) || error.contains("drian"), "{flag}: {error}");
    }
}

#[test]
fn the_override_that_is_wrong_is_blamed_and_not_a_later_one() {
    for wrong in ["limits.drain=soon", "limits.drian=5s"] {
        let error = load(&[wrong, "limits.maxBodySize=1Mi"], &[]).unwrap_err().to_string();
        assert!(error.starts_with(&format!("--set {wrong}: ")), "{error}");
    }
}

#[test]
fn variables_of_others_are_left_alone() {
    assert_eq!(load(&[], &[("SLUICE_FIXTURES", "x"), ("HOME", "y")]).unwrap().listeners.len(), 1);
}

#[test]
fn labels_of_usage_are_dimensions_each_once() {
    let config = load(&["telemetry.metrics.labels=[team, app]"], &[]).unwrap();
    assert_eq!(config.telemetry.metrics.labels, [Dimension::Team, Dimension::App]);
    assert_eq!(config.telemetry.metrics.max_series, 1000);
    for (flag, expected) in [
        ("telemetry.metrics.labels=[user]", "consumer"),
        ("telemetry.metrics.labels=[team, team]", "names team twice"),
    ] {
        let error = load(&[flag], &[]).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn nothing_is_kept_where_no_folder_is_named() {
    assert_eq!(load(&[], &[]).unwrap().store.state_dir, None);
    let config = load(&[], &[("SLUICE_STORE__STATE_DIR", "/var/lib/sluice")]).unwrap();
    assert_eq!(config.store.state_dir, Some("/var/lib/sluice".into()));
}
