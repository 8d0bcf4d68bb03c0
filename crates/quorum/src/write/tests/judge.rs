//! What every step of a write must have been, judged by its whole history.
//!
//! Where the rules leave no choice it expects the exact effects; where several places would serve
//! as well, as in overlapping sets, it checks how many there are and that they serve.

use crate::oracle::{Case, Facts, Step, all, enough, fewest, without};
use crate::{Effect, Input, Outcome};
use std::vec::Vec;

/// What the clock said at the step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hour {
    /// Silence is still to be borne.
    Early,
    /// `cover_after` has passed.
    Covering,
    /// The deadline has passed or, after the end, `settle_after`.
    Over,
}

fn places(effects: &[Effect], which: fn(&Effect) -> Option<usize>) -> Vec<usize> {
    effects.iter().filter_map(which).collect()
}

pub(super) fn stand_ins(effects: &[Effect]) -> Vec<usize> {
    places(effects, |effect| if let Effect::StandIn { replica } = effect { Some(*replica) } else { None })
}

fn sends(effects: &[Effect]) -> Vec<usize> {
    places(effects, |effect| if let Effect::Send { replica } = effect { Some(*replica) } else { None })
}

/// The first step: everything is sent, or nothing.
pub(super) fn judge_start(case: &Case<'_>, effects: &[Effect]) {
    let up = without(&(0..case.n).collect::<Vec<_>>(), &[case.down]);
    let needed = fewest(case.sets, &up, case.down, case.stand_ins);
    let greedy = case.sets.len() > 2;
    if effects == [Effect::Done(Outcome::Impossible)] {
        assert!(needed.is_none() || greedy, "{case:?} was refused");
        return;
    }
    let covered = stand_ins(effects);
    let needed = needed.expect("an impossible write is refused");
    assert!(if greedy { covered.len() >= needed } else { covered.len() == needed }, "{case:?}: {effects:?}");
    if let [(members, _)] = &case.sets[..] {
        assert_eq!(covered, within(case.down, members)[..needed], "the lowest ones, {case:?}");
    }
    judge_stand_ins(case, &up, case.down, &covered, case.stand_ins);
    let expected = (up.into_iter().map(|replica| Effect::Send { replica }))
        .chain(covered.iter().map(|&replica| Effect::StandIn { replica }))
        .chain(without(case.down, &[&covered]).into_iter().map(|replica| Effect::Hint { replica }));
    assert_eq!(effects, expected.collect::<Vec<_>>(), "{case:?}");
}

/// Any later step.
pub(super) fn judge(case: &Case<'_>, history: &[Step], input: Option<Input>, hour: Hour, effects: &[Effect]) {
    let facts = Facts::after(case, history, input);
    let context = || std::format!("{case:?}, after {history:?}, at {input:?}, {hour:?}: {effects:?}");
    assert_eq!(sends(effects), [], "everything was sent at the start, {}", context());
    assert!(facts.done.len() <= 1, "{}", context());

    let failed = without(&all(&[case.down, &facts.erred]), &[&facts.answered]);
    let has = all(&[&facts.answered, &facts.stood_in]);
    let (outcome, covered) = match facts.done.first() {
        Some(outcome) => (Some(*outcome), Vec::new()),
        None if hour == Hour::Over => (Some(Outcome::TimedOut), Vec::new()),
        None if enough(case.sets, &has) => (Some(Outcome::Reached), Vec::new()),
        None => judge_covering(case, &facts, &failed, hour, effects),
    };
    let ended = facts.done.is_empty().then_some(outcome).flatten();

    let missing = without(&(0..case.n).collect::<Vec<_>>(), &[&has, &facts.hinted]);
    let pending = all(&[&facts.pending, &covered]);
    let given_up = match outcome {
        // A write that reaches its end at this step settles later; one that had, now.
        None => failed,
        Some(Outcome::Reached) if hour != Hour::Over || ended.is_some() => failed,
        Some(_) => (0..case.n).collect(),
    };
    let waits = outcome.is_none() || (outcome == Some(Outcome::Reached) && (hour != Hour::Over || ended.is_some()));
    let hinted = missing.iter().copied().filter(|p| given_up.contains(p) && !(waits && pending.contains(p)));

    let mut expected: Vec<Effect> = covered.iter().map(|&replica| Effect::StandIn { replica }).collect();
    expected.extend(ended.map(Effect::Done));
    // A write that was never sent hints nobody.
    let unsent = facts.sent.is_empty() && facts.covered.is_empty();
    expected.extend(hinted.filter(|_| !unsent).map(|replica| Effect::Hint { replica }));
    assert_eq!(effects, expected, "{}", context());
}

/// A write that goes on, or cannot: its outcome, and the places it was right to cover.
fn judge_covering(
    case: &Case<'_>,
    facts: &Facts,
    failed: &[usize],
    hour: Hour,
    effects: &[Effect],
) -> (Option<Outcome>, Vec<usize>) {
    let (left, greedy) = (case.stand_ins - facts.covered.len(), case.sets.len() > 2);
    let open = facts.open();
    let certain = all(&[&facts.answered, &facts.stood_in, &facts.pending]);
    let candidates = without(failed, &[&facts.covered]);
    let needed = fewest(case.sets, &all(&[&certain, &open]), &candidates, left);
    let covered = stand_ins(effects);
    if greedy && effects.contains(&Effect::Done(Outcome::Impossible)) {
        return (Some(Outcome::Impossible), Vec::new());
    }
    let Some(needed) = needed else { return (Some(Outcome::Impossible), Vec::new()) };

    let dead: Vec<usize> = covered.iter().copied().filter(|place| failed.contains(place)).collect();
    let silent = without(&covered, &[&dead]);
    assert!(if greedy { dead.len() >= needed } else { dead.len() == needed }, "{case:?} {facts:?}: {effects:?}");
    judge_stand_ins(case, &all(&[&certain, &open]), &candidates, &dead, left);
    if let [(members, need)] = &case.sets[..] {
        // Those not hinted yet first, and of equals the lowest.
        let fresh = without(&candidates, &[&facts.hinted]);
        let order = within(&all(&[&fresh, &without(&candidates, &[&fresh])]), members);
        assert!(dead.iter().all(|place| order[..needed].contains(place)), "{dead:?} of {order:?}");
        // Silent ones fill what is left of the need.
        let certain = all(&[&certain, &dead]);
        let lacking = need.saturating_sub(members.iter().filter(|place| certain.contains(place)).count());
        let silent_ones = within(&without(&open, &[&facts.covered]), members);
        let most = if hour == Hour::Early { 0 } else { lacking.min(left - needed) };
        assert_eq!(silent, silent_ones[..most.min(silent_ones.len())], "{case:?} {facts:?}: {effects:?}");
    } else {
        let candidates = without(&open, &[&facts.covered]);
        assert!(hour != Hour::Early || silent.is_empty());
        assert!(silent.iter().all(|place| candidates.contains(place)));
        let certain = all(&[&certain, &dead]);
        if hour != Hour::Early
            && let Some(needed) = fewest(case.sets, &certain, &candidates, left - dead.len())
            && !greedy
        {
            assert_eq!(silent.len(), needed, "{case:?} {facts:?}: {effects:?}");
        }
    }
    (None, covered)
}

/// Only these count in a single set.
fn within(places: &[usize], members: &[usize]) -> Vec<usize> {
    places.iter().copied().filter(|place| members.contains(place)).collect()
}

/// The covered places are candidates, not more than there are stand-ins, and serve.
fn judge_stand_ins(case: &Case<'_>, has: &[usize], candidates: &[usize], covered: &[usize], left: usize) {
    assert!(covered.len() <= left && covered.iter().all(|place| candidates.contains(place)));
    assert!(enough(case.sets, &all(&[has, covered])), "{case:?}: {covered:?} do not make {has:?} enough");
}
