//! Which backend gets a request: the least busy one, near ones first. Pure: randomness is a parameter.

/// Up to so many backends the least busy of all is looked for; of more, two that chance picks are
/// compared, which is nearly as even (Mitzenmacher, "The Power of Two Choices in Randomized Load
/// Balancing") and does not make every replica fall upon the same one.
const ALL: usize = 16;

/// A backend to choose from.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// Requests that it is busy with.
    pub load: usize,
    /// Whether it can't be used, for it was tried by this request.
    pub is_tried: bool,
    /// Whether it is left out unless nothing else is there.
    pub is_out: bool,
}

/// The indices of backends by their place.
#[derive(Debug, Default)]
pub struct Places {
    /// Near ones.
    pub near: Box<[usize]>,
    /// The others.
    pub far: Box<[usize]>,
}

/// The backend for a request. `random(n)` gives a number below `n`.
pub fn choose(
    places: &Places,
    seen: impl Fn(usize) -> Seen,
    mut random: impl FnMut(usize) -> usize,
) -> Option<usize> {
    for with_those_out in [false, true] {
        let fits = |index: usize| {
            let seen = seen(index);
            !seen.is_tried && (with_those_out || !seen.is_out)
        };
        let load = |index: usize| seen(index).load;
        let near = least_busy(&places.near, fits, load, &mut random);
        // A near one that is idle needs no comparison.
        if let Some(near) = near
            && load(near) <= 2
        {
            return Some(near);
        }
        let far = least_busy(&places.far, fits, load, &mut random);
        let found = match (near, far) {
            (Some(near), Some(far)) if load(near) > 2 * (load(far) + 1) => Some(far),
            (near, far) => near.or(far),
        };
        if found.is_some() {
            return found;
        }
    }
    None
}

fn least_busy(
    among: &[usize],
    fits: impl Fn(usize) -> bool,
    load: impl Fn(usize) -> usize,
    random: &mut impl FnMut(usize) -> usize,
) -> Option<usize> {
    if among.is_empty() {
        return None;
    }
    // From a place that chance picks on, so that equals get equal shares.
    let mut from = || {
        let (before, after) = among.split_at(random(among.len()));
        after.iter().chain(before).copied().filter(|index| fits(*index))
    };
    if among.len() <= ALL {
        return from().min_by_key(|index| load(*index));
    }
    let (one, other) = (from().next()?, from().next()?);
    Some(if load(other) < load(one) { other } else { one })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A small generator of even quality (xorshift, Marsaglia 2003), the same in every run.
    fn random() -> impl FnMut(usize) -> usize {
        let mut state = 0x9E37_79B9_7F4A_7C15_u64;
        move |below| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            usize::try_from(state % below as u64).unwrap()
        }
    }

    fn idle(load: usize) -> Seen {
        Seen { load, is_tried: false, is_out: false }
    }

    fn all_far(count: usize) -> Places {
        Places { near: Box::default(), far: (0..count).collect() }
    }

    fn two_and_two() -> Places {
        Places { near: [0, 1].into(), far: [2, 3].into() }
    }

    #[test]
    fn requests_that_stay_spread_evenly() {
        for (count, spread) in [(3, 1), (16, 1), (100, 8)] {
            let (places, mut random) = (all_far(count), random());
            let mut loads = vec![0; count];
            for _ in 0..count * 50 {
                let chosen = choose(&places, |index| idle(loads[index]), &mut random).unwrap();
                loads[chosen] += 1;
            }
            let (least, most) = (loads.iter().min().unwrap(), loads.iter().max().unwrap());
            assert!(most - least <= spread, "{count}: {loads:?}");
        }
    }

    #[test]
    fn equals_get_equal_shares() {
        let (places, mut random) = (all_far(4), random());
        let mut counts = [0; 4];
        for _ in 0..4000 {
            counts[choose(&places, |_| idle(0), &mut random).unwrap()] += 1;
        }
        assert!(counts.iter().all(|count| (850..1150).contains(count)), "{counts:?}");
    }

    #[test]
    fn near_ones_are_used_until_they_are_more_than_twice_as_busy() {
        let mut random = random();
        let mut chosen = |near, far| {
            choose(&two_and_two(), |i| idle(if i < 2 { near } else { far }), &mut random)
        };
        for (near, far) in [(0, 0), (2, 0), (4, 1), (20, 9), (9, 90)] {
            assert!(chosen(near, far).unwrap() < 2, "{near} {far}");
        }
        for (near, far) in [(3, 0), (5, 1), (21, 9)] {
            assert!(chosen(near, far).unwrap() >= 2, "{near} {far}");
        }
    }

    #[test]
    fn without_a_near_one_that_can_be_used_others_are() {
        let out = |index: usize| Seen { is_out: index < 2, ..idle(0) };
        assert!(choose(&two_and_two(), out, random()).unwrap() >= 2);
        let tried = |index: usize| Seen { is_tried: index < 2, ..idle(0) };
        assert!(choose(&two_and_two(), tried, random()).unwrap() >= 2);
        assert!(choose(&all_far(2), |_| idle(0), random()).is_some());
    }

    #[test]
    fn those_that_are_out_are_used_when_nothing_else_is_left() {
        let out = |index: usize| Seen { is_tried: index == 0, is_out: true, ..idle(0) };
        assert_eq!(choose(&all_far(2), out, random()), Some(1));
        let all_tried = |_| Seen { is_tried: true, ..idle(0) };
        assert_eq!(choose(&all_far(20), all_tried, random()), None);
        assert_eq!(choose(&all_far(0), |_| idle(0), random()), None);
    }
}
