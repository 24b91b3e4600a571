//! In which order targets are asked, as far as manifests decide it: neither by health nor by whose turn
//! it is.

use std::cmp::Ordering;

use crate::snapshot::Balance;

use super::{super::order::dearness, weigh::Weighed};

/// Notes the share of each target that can be asked, and its turn. Other balances than by weight and by
/// cost go by the state of the targets, which is not known here.
pub(super) fn give(weighed: &mut [Weighed], balance: Balance) {
    if !matches!(balance, Balance::Weighted | Balance::LeastCost) {
        return;
    }
    let compare = |a: &Weighed, b: &Weighed| match balance {
        Balance::LeastCost => compare(a, b),
        _ => a.fate.priority.cmp(&b.fate.priority),
    };
    let usable: Vec<&Weighed> = weighed.iter().filter(|target| target.is_usable()).collect();
    let shares: Vec<(usize, Option<String>)> = weighed
        .iter()
        .map(|target| {
            let equals = usable.iter().filter(|other| compare(other, target).is_eq());
            let sum = equals.map(|other| u64::from(other.fate.weight)).sum();
            let mut sooner: Vec<&&Weighed> =
                usable.iter().filter(|other| compare(other, target).is_lt()).collect();
            sooner.sort_by(|a, b| compare(a, b));
            sooner.dedup_by(|a, b| compare(a, b).is_eq());
            (sooner.len() + 1, share(target.fate.weight, sum))
        })
        .collect();
    for (target, (turn, share)) in weighed.iter_mut().zip(shares) {
        if target.is_usable() {
            target.fate.turn = (balance == Balance::LeastCost).then_some(turn);
            target.fate.share = share;
        }
    }
}

/// Which of two `LeastCost` asks sooner; those that are equal share by weight.
pub(super) fn compare(a: &Weighed, b: &Weighed) -> Ordering {
    let priority = a.fate.priority.cmp(&b.fate.priority);
    priority.then_with(|| dearness(a.expected).total_cmp(&dearness(b.expected)))
}

/// A weight as a part of the weights of its equals.
fn share(weight: u32, sum: u64) -> Option<String> {
    let tenths = (u64::from(weight) * 1000 + sum / 2).checked_div(sum)?;
    Some(match tenths % 10 {
        0 => format!("{}%", tenths / 10),
        tenth => format!("{}.{tenth}%", tenths / 10),
    })
}
