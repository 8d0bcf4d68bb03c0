//! What every step of a read must have been, judged by its whole history.
//!
//! Of a single set it expects the exact effects, since a read asks by preference; where several
//! places would serve as well, as in overlapping sets, it checks how many there are and that they
//! serve.

use crate::oracle::{Case, Facts, Step, all, enough, fewest, without};
use crate::{Effect, Input, Outcome};
use std::vec::Vec;

/// Why a read was called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Call {
    /// It starts, or has an input.
    Heard(Option<Input>),
    /// `late` has passed since these were asked.
    Late(Vec<usize>),
    /// The deadline has passed.
    Over,
}

pub(super) fn sends(effects: &[Effect]) -> Vec<usize> {
    let sent = |effect: &Effect| if let Effect::Send { replica } = effect { Some(*replica) } else { None };
    effects.iter().filter_map(sent).collect()
}

pub(super) fn stand_ins(effects: &[Effect]) -> Vec<usize> {
    let asked = |effect: &Effect| if let Effect::StandIn { replica } = effect { Some(*replica) } else { None };
    effects.iter().filter_map(asked).collect()
}

/// The places by preference: those not down, then those that are, each in order.
fn preferred(case: &Case<'_>, places: &[usize]) -> Vec<usize> {
    let up = without(places, &[case.down]);
    all(&[&up, &without(places, &[&up])])
}

pub(super) fn judge(case: &Case<'_>, history: &[Step], call: &Call, effects: &[Effect]) {
    let input = if let Call::Heard(input) = call { *input } else { None };
    let (before, facts) = (Facts::after(case, history, None), Facts::after(case, history, input));
    let context = || std::format!("{case:?}, after {history:?}, at {call:?}: {effects:?}");
    if !facts.done.is_empty() {
        return assert_eq!(effects, [], "it has ended, {}", context());
    }
    if *call == Call::Over {
        return assert_eq!(effects, [Effect::Done(Outcome::TimedOut)], "{}", context());
    }
    let has = all(&[&facts.answered, &facts.stood_in]);
    if enough(case.sets, &has) {
        return assert_eq!(effects, [Effect::Done(Outcome::Reached)], "{}", context());
    }
    let left = case.stand_ins - facts.covered.len();
    let unsettled = without(&(0..case.n).collect::<Vec<_>>(), &[&facts.answered, &facts.erred]);
    let coming = all(&[&has, &facts.pending]);
    let hopeful = all(&[&coming, &without(&unsettled, &[case.down])]);
    let every = all(&[&coming, &unsettled]);
    let failed = without(&facts.erred, &[&facts.covered]);
    let greedy = case.sets.len() > 2;
    let ends = effects == [Effect::Done(Outcome::Impossible)];
    let possible = fewest(case.sets, &every, &failed, left).is_some();
    assert!(if greedy { possible || ends } else { possible != ends }, "{}", context());
    if ends {
        return;
    }

    let (covered, sent) = (stand_ins(effects), sends(effects));
    assert_eq!(covered.len() + sent.len(), effects.len(), "nothing else, {}", context());
    let down = without(case.down, &[&facts.answered, &facts.erred]);
    let missing = without(&all(&[&failed, &down]), &[&facts.covered, &has]);
    match call {
        Call::Late(awaited) => {
            let late: Vec<usize> = facts.open().into_iter().filter(|place| awaited.contains(place)).collect();
            judge_late(case, &facts, &hopeful, &late, &missing, left, effects);
            return;
        }
        _ => judge_covered(case, &hopeful, &every, &missing, left, &covered),
    }

    // Whom it asks may help, and is down only as a last resort.
    let hopeful = all(&[&hopeful, &covered]);
    let taken = all(&[&facts.sent, &coming, &covered]);
    let candidates = without(&unsettled, &[&taken]);
    for &replica in &sent {
        assert!(candidates.contains(&replica), "{}", context());
        assert!(may_ask(case, &has, &hopeful, replica), "{replica} was asked for nothing, {}", context());
    }
    let in_flight = all(&[&coming, &covered, &facts.open()]);
    assert!(enough(case.sets, &all(&[&in_flight, &sent])), "it waits for too little, {}", context());
    let lost = matches!(input, Some(Input::Error { replica })
        if before.open().contains(&replica) && !coming.contains(&replica) && !covered.contains(&replica));
    assert!(lost || !enough(case.sets, &in_flight) || sent.is_empty(), "asked without need, {}", context());
    if let [(members, need)] = &case.sets[..] {
        let lacking = need.saturating_sub(members.iter().filter(|place| in_flight.contains(place)).count());
        let lost =
            lost && covered.is_empty() && matches!(input, Some(Input::Error { replica }) if members.contains(&replica));
        let want = lacking.max(usize::from(lost));
        let usable: Vec<usize> =
            candidates.into_iter().filter(|&replica| may_ask(case, &has, &hopeful, replica)).collect();
        let order = preferred(case, &usable);
        assert_eq!(sent, order[..want.min(order.len())], "{}", context());
    }
}

/// Whether any unmet set counts on the replica, and cannot do without those that are down if it is.
fn may_ask(case: &Case<'_>, has: &[usize], hopeful: &[usize], replica: usize) -> bool {
    case.sets.iter().any(|set| {
        let alone = [set.clone()].into();
        let last_resort = !enough(&alone, hopeful);
        set.0.contains(&replica) && !enough(&alone, has) && (!case.down.contains(&replica) || last_resort)
    })
}

/// Stand-ins are asked only when the others are not enough, and then as few as needed.
fn judge_covered(
    case: &Case<'_>,
    hopeful: &[usize],
    every: &[usize],
    missing: &[usize],
    left: usize,
    covered: &[usize],
) {
    let context = || std::format!("{case:?}: {covered:?} of {missing:?}, hoping for {hopeful:?}");
    assert!(covered.len() <= left && covered.iter().all(|place| missing.contains(place)), "{}", context());
    let greedy = case.sets.len() > 2;
    match fewest(case.sets, hopeful, missing, left) {
        Some(0) => assert_eq!(covered, [], "{}", context()),
        Some(needed) if !greedy => {
            assert_eq!(covered.len(), needed, "{}", context());
            assert!(enough(case.sets, &all(&[hopeful, covered])), "{}", context());
        }
        Some(needed) => assert!(covered.len() >= needed.min(left), "{}", context()),
        None => {
            assert!(enough(case.sets, &all(&[every, covered])), "{}", context());
            if let [(members, _)] = &case.sets[..] {
                let useful = missing.iter().filter(|place| members.contains(place)).count();
                assert_eq!(covered.len(), left.min(useful), "all that there are, {}", context());
            }
        }
    }
}

/// One more is asked: a replica if there is any, else a stand-in if somebody is late.
fn judge_late(
    case: &Case<'_>,
    facts: &Facts,
    hopeful: &[usize],
    late: &[usize],
    missing: &[usize],
    left: usize,
    effects: &[Effect],
) {
    let context = || std::format!("{case:?}, {facts:?}, late {late:?}, missing {missing:?}: {effects:?}");
    let has = all(&[&facts.answered, &facts.stood_in]);
    let gone = all(&[&facts.answered, &facts.erred, &facts.sent, &facts.stood_in, &facts.pending]);
    let unasked: Vec<usize> = without(&(0..case.n).collect::<Vec<_>>(), &[&gone])
        .into_iter()
        .filter(|&replica| may_ask(case, &has, hopeful, replica))
        .collect();
    if let Some(&replica) = preferred(case, &unasked).first() {
        return assert_eq!(effects, [Effect::Send { replica }], "{}", context());
    }
    assert!(effects.len() <= left.min(1), "{}", context());
    let waiting: Vec<_> = case
        .sets
        .iter()
        .filter(|set| !enough(&[(*set).clone()].into(), &has) && set.0.iter().any(|place| late.contains(place)))
        .collect();
    let useful = |places: &[usize]| -> Vec<usize> {
        let free = without(places, &[&facts.covered, &has]);
        free.into_iter().filter(|place| waiting.iter().any(|set| set.0.contains(place))).collect()
    };
    let (first, then) = (useful(&without(missing, &[&facts.open()])), useful(late));
    let place = first.first().or(then.first()).filter(|_| left > 0);
    assert_eq!(stand_ins(effects).first(), place, "{}", context());
}
