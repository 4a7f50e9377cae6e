//! A commit happens once, under its number and its leader's token, or not at all.

use super::home::{Home, breach, case, commit, episode, keeping, ring, take_the_lead};
use tocsin::core::plan::{BreachStatus, Plan};
use tocsin::core::policy::Priority;
use tocsin::store::{Store, StoreError};

super::on_both! {
    a_number_that_is_taken_is_refused_and_nothing_is_written,
    a_number_that_leaves_a_gap_is_refused,
    an_older_leader_is_fenced_before_it_writes_anything,
    a_commit_repeated_after_a_lost_answer_is_settled_by_the_sequence,
    a_commit_that_fails_half_way_leaves_its_number_free,
    an_episode_that_a_plan_holds_twice_keeps_its_last_state,
}

async fn a_number_that_is_taken_is_refused_and_nothing_is_written(home: Home) {
    let mut led = home.lead().await;
    led.commit(&keeping([case(episode(1), Priority::P0)])).await.unwrap();
    let plan = keeping([case(episode(2), Priority::P0)]);
    let again = led.store.commit(&commit(1, led.token, &plan, vec![ring(1, "pager", Priority::P0, 1)])).await;
    assert!(matches!(again, Err(StoreError::Fenced { ours: 1, theirs: 1, .. })), "{again:?}");
    let stored = led.store.load().await.unwrap();
    assert_eq!((stored.sequence, stored.cases.len()), (1, 1));
    assert_eq!(led.store.pages(9).await.unwrap().len(), 0);
}

async fn a_number_that_leaves_a_gap_is_refused(home: Home) {
    let led = home.lead().await;
    let plan = Plan::default();
    for sequence in [0, 2] {
        assert!(led.store.commit(&commit(sequence, led.token, &plan, Vec::new())).await.is_err());
    }
    assert_eq!(led.store.settle(led.token).await.unwrap(), 0);
    led.store.commit(&commit(1, led.token, &plan, Vec::new())).await.unwrap();
}

async fn an_older_leader_is_fenced_before_it_writes_anything(home: Home) {
    let mut first = home.lead().await;
    first.commit(&keeping([case(episode(1), Priority::P0)])).await.unwrap();
    let second = home.open().await;
    let token = take_the_lead(&second, "second").await;
    assert!(token > first.token);

    let late = first.commit(&keeping([case(episode(2), Priority::P0)])).await;
    assert!(matches!(late, Err(StoreError::Fenced { ours: 1, theirs: 2, .. })), "{late:?}");
    assert_eq!(second.load().await.unwrap().cases.len(), 1);
    second.commit(&commit(2, token, &keeping([case(episode(3), Priority::P0)]), Vec::new())).await.unwrap();
}

/// What a process does that doesn't know whether its commit happened: it asks for the settled sequence.
async fn a_commit_repeated_after_a_lost_answer_is_settled_by_the_sequence(home: Home) {
    let mut led = home.lead().await;
    let (plan, page) = (keeping([case(episode(1), Priority::P0)]), ring(1, "pager", Priority::P0, 1));
    led.commit_with(&plan, vec![page.clone()]).await.unwrap();
    assert_eq!(led.store.settle(led.token).await.unwrap(), 1, "it happened");
    let again = led.store.commit(&commit(1, led.token, &plan, vec![page])).await;
    assert!(matches!(again, Err(StoreError::Fenced { .. })));
    assert_eq!(led.store.pages(9).await.unwrap().len(), 1);
}

async fn a_commit_that_fails_half_way_leaves_its_number_free(home: Home) {
    let mut led = home.lead().await;
    if home.is_sqlite() {
        home.run("CREATE TRIGGER refuse BEFORE INSERT ON breaches BEGIN SELECT RAISE(ABORT, 'poison'); END").await;
    } else {
        home.run(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'poison'; END $$; \
             CREATE TRIGGER refuse BEFORE INSERT ON breaches FOR EACH ROW EXECUTE FUNCTION refuse()",
        )
        .await;
    }
    let cases = keeping([case(episode(1), Priority::P0)]);
    let poisoned = Plan { breaches: vec![breach(1, BreachStatus::Verified)], ..cases.clone() };
    let refused = led.commit_with(&poisoned, vec![ring(1, "pager", Priority::P0, 1)]).await;
    let Err(StoreError::Failed { source, .. }) = refused else { panic!("{refused:?}") };
    assert!(source.to_string().contains("poison"), "{source}");
    let stored = led.store.load().await.unwrap();
    assert_eq!((stored.sequence, stored.cases.len()), (0, 0));
    led.commit(&cases).await.unwrap();
    assert_eq!(led.store.pages(9).await.unwrap().len(), 0);
}

async fn an_episode_that_a_plan_holds_twice_keeps_its_last_state(home: Home) {
    let mut led = home.lead().await;
    let mut later = case(episode(1), Priority::P0);
    later.reopenings = 4;
    led.commit(&keeping([case(episode(1), Priority::P0), later.clone()])).await.unwrap();
    assert_eq!(led.store.load().await.unwrap().cases, [later]);
}
