//! An explanation for people.

use std::fmt::Write as _;

use crate::route::explain::{Explanation, RuleFate, TargetFate, WeighedBudget};

/// The explanation as text.
pub(super) fn table(explanation: &Explanation) -> String {
    let Explanation { outcome, route, rule, balance, .. } = explanation;
    let Explanation { rules, targets, budgets, other_routes, .. } = explanation;
    let mut text = String::new();
    let code = match &*outcome.code {
        "" => String::new(),
        code => format!(" {code}"),
    };
    line(&mut text, 0, &format!("{}{code}: {}", outcome.status, outcome.message));
    if let Some(route) = route {
        line(&mut text, 0, &format!("route    {route}"));
    }
    if let Some(rule) = rule {
        line(&mut text, 0, &format!("rule     {rule}"));
    }
    if let Some(balance) = balance {
        line(&mut text, 0, &format!("balance  {balance}"));
    }
    heading(&mut text, "rules", rules.is_empty());
    rules.iter().for_each(|rule| add_rule(&mut text, rule));
    heading(&mut text, "targets", targets.is_empty());
    targets.iter().for_each(|target| add_target(&mut text, target));
    heading(&mut text, "budgets", budgets.is_empty());
    budgets.iter().for_each(|budget| add_budget(&mut text, budget));
    heading(&mut text, "other routes with this model", other_routes.is_empty());
    for other in other_routes {
        line(&mut text, 1, &format!("{} ({}): {}", other.name, other.pattern, other.why));
    }
    text
}

fn line(text: &mut String, depth: usize, content: &str) {
    // Text takes what is written.
    let _ = writeln!(text, "{}{content}", "  ".repeat(depth));
}

fn heading(text: &mut String, name: &str, is_empty: bool) {
    if !is_empty {
        line(text, 0, &format!("\n{name}"));
    }
}

fn add_rule(text: &mut String, rule: &RuleFate) {
    let fault = rule.fault.as_ref().map(|fault| format!(" ({fault})")).unwrap_or_default();
    line(text, 1, &format!("{}: {}{fault}", rule.name, rule.verdict));
    if let Some(when) = &rule.when {
        line(text, 2, &format!("when {}", when.split_whitespace().collect::<Vec<_>>().join(" ")));
    }
    for (name, value) in &rule.facts {
        line(text, 2, &format!("{name} = {value}"));
    }
}

fn add_target(text: &mut String, target: &TargetFate) {
    let TargetFate { name, provider, model, priority, weight, .. } = target;
    let part = match (&target.passed_over, target.turn, &target.share) {
        (Some(_), ..) => "passed over".to_owned(),
        (None, Some(turn), Some(share)) if share != "100%" => {
            format!("asked as number {turn}, {share} of its equals")
        }
        (None, Some(turn), _) => format!("asked as number {turn}"),
        (None, None, Some(share)) => format!("{share} of priority {priority}"),
        (None, None, None) => format!("priority {priority}"),
    };
    line(text, 1, &format!("{name}: {part} (weight {weight}, {provider}, model {model})"));
    if let Some(why) = &target.passed_over {
        line(text, 2, why);
    }
    let prices = (&target.input_price, &target.output_price);
    match (prices, &target.expected_usd, &target.worst_case_usd) {
        ((Some(input), Some(output)), Some(expected), Some(worst)) => {
            let source = target.price_source;
            let price = format!("{input} USD in, {output} USD out a million tokens ({source})");
            line(text, 2, &format!("{price}; {expected} USD expected, at worst {worst} USD"));
        }
        _ if target.passed_over.is_none() => line(text, 2, "unpriced"),
        _ => {}
    }
    if !target.dropped.is_empty() {
        line(text, 2, &format!("is not told {}", target.dropped.join(", ")));
    }
}

fn add_budget(text: &mut String, budget: &WeighedBudget) {
    let WeighedBudget { name, mode, why_not, limits, .. } = budget;
    match why_not {
        Some(why) => line(text, 1, &format!("{name}: does not bind, {why}")),
        None => line(text, 1, &format!("{name}: binds ({mode})")),
    }
    for limit in limits {
        let small = if limit.is_too_small { ", which never fits" } else { "" };
        let (reserves, max, unit) = (&limit.reserves, &limit.max, limit.unit);
        line(text, 2, &format!("{}: reserves {reserves} of {max} {unit}{small}", limit.limit));
    }
}
