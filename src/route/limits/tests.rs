//! Rooms of an account.

use super::*;

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn account() -> (Arc<Account>, Instant) {
    let now = Instant::now();
    (Arc::new(Account::new(now)), now)
}

fn limits(calls: Option<u32>, requests: Option<u64>, tokens: Option<u64>) -> AccountLimits {
    AccountLimits {
        concurrent_requests: calls,
        requests_per_minute: requests,
        tokens_per_minute: tokens,
    }
}

#[test]
fn calls_under_way_hold_their_place_until_they_end() {
    let (account, now) = account();
    let limits = limits(Some(2), None, None);
    let first = account.take(&limits, 0, now).unwrap();
    let _second = account.take(&limits, 0, now).unwrap();
    assert_eq!(account.take(&limits, 0, now).unwrap_err().retry_after, SOON);
    assert_eq!(account.in_flight(), 2);
    drop(first);
    assert!(account.take(&limits, 0, now).is_ok());
}

#[test]
fn no_sixty_seconds_see_more_requests_than_the_limit() {
    let (account, start) = account();
    let limits = limits(None, Some(30), None);
    let mut taken = Vec::new();
    for step in 0..4000_u64 {
        let now = start + ms(step * 97);
        if account.take(&limits, 0, now).is_ok() {
            taken.push(step * 97);
        }
    }
    for (index, at) in taken.iter().enumerate() {
        let within = taken[index..].iter().take_while(|other| **other - at < 60_000).count();
        assert!(within <= 30, "{within} from {at}");
    }
    // And not much less either: 388 seconds have room for six times thirty.
    assert!(taken.len() >= 180, "{}", taken.len());
}

#[test]
fn who_is_refused_is_told_when_there_is_room() {
    let (account, start) = account();
    let limits = limits(None, Some(2), None);
    drop(account.take(&limits, 0, start + ms(300)).unwrap());
    drop(account.take(&limits, 0, start + ms(20_500)).unwrap());
    let now = start + ms(30_000);
    let full = account.take(&limits, 0, now).unwrap_err();
    assert_eq!(full.retry_after, ms(31_000));
    assert!(account.room(&limits, 0, now + full.retry_after - ms(1)).is_err());
    assert!(account.room(&limits, 0, now + full.retry_after).is_ok());
}

#[test]
fn tokens_are_reserved_and_corrected() {
    let (account, now) = account();
    let limits = limits(None, None, Some(1000));
    let mut hold = account.take(&limits, 900, now).unwrap();
    assert!(account.room(&limits, 101, now).is_err());
    hold.correct(200);
    assert!(account.room(&limits, 800, now).is_ok());
    assert!(account.room(&limits, 801, now).is_err());
    // More than was reserved counts too, late as it is.
    hold.correct(1500);
    assert!(account.room(&limits, 1, now + ms(60_000)).is_err());
    assert!(account.room(&limits, 1, now + ms(61_000)).is_ok());
    // A correction of what counts no longer changes nothing.
    let later = now + ms(70_000);
    let _other = account.take(&limits, 500, later).unwrap();
    hold.correct(0);
    assert!(account.room(&limits, 500, later).is_ok());
    assert!(account.room(&limits, 501, later).is_err());
}

#[test]
fn a_call_that_is_made_again_is_one_request_more() {
    let (account, now) = account();
    let limits = limits(Some(1), Some(3), None);
    let hold = account.take(&limits, 0, now).unwrap();
    assert!(hold.again(now) && hold.again(now) && !hold.again(now));
    assert_eq!(account.in_flight(), 1);
    drop(hold);
    assert!(account.room(&limits, 0, now + ms(59_000)).is_err());
    assert!(account.room(&limits, 0, now + ms(61_000)).is_ok());
}

#[test]
fn a_call_that_was_never_made_counts_nowhere() {
    let (account, now) = account();
    let limits = limits(Some(1), Some(1), Some(10));
    account.take(&limits, 10, now).unwrap().undo();
    assert!(account.is_idle(now));
    assert!(account.take(&limits, 10, now).is_ok());
}

#[test]
fn a_call_beyond_the_whole_limit_goes_when_nothing_else_counts() {
    let (account, now) = account();
    let limits = limits(None, None, Some(1000));
    let hold = account.take(&limits, 50_000, now).unwrap();
    assert!(account.take(&limits, 1, now).is_err());
    drop(hold);
    assert!(account.take(&limits, 1, now).is_err(), "its tokens stay used");
    assert!(account.is_idle(now + ms(61_000)));
    assert!(account.take(&limits, 50_000, now + ms(61_000)).is_ok());
}
