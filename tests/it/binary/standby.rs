//! Two monitors on one store: one leads and the other waits, whatever happens to the first. The store's own record
//! says that there was one writer at a time; the receiver's, that every page came and none under two keys.

use super::platform::Base;
use super::proxy::Wire;
use super::rig::Rig;
use super::{eventually, hold, now, secs};
use crate::support::PrivatePostgres;
use sqlx::{Connection, Executor, PgConnection};
use tocsin::core::time::Timestamp;
use tocsin::run::clock::{Clock, SystemClock};

/// What a takeover may take: the lease, a look, and the reading of the store.
const TAKEOVER_SECS: i64 = 10;
const ROUNDS: u32 = 5;
const ROUNDS_LONG: u32 = 50;

#[tokio::test]
async fn a_second_process_stands_by_and_leads_within_a_second_of_a_clean_stop() {
    tokio::join!(clean_stop("clean_lite", Base::Sqlite, ROUNDS), clean_stop("clean_pg", Base::Postgres, ROUNDS));
}

#[tokio::test]
#[ignore = "long: fifty rounds take some four minutes"]
async fn a_second_process_leads_within_a_second_of_a_clean_stop_fifty_times() {
    clean_stop("clean_long", Base::Postgres, ROUNDS_LONG).await;
}

async fn clean_stop(hint: &str, store: Base, rounds: u32) {
    let rig = Rig::new(hint, Base::Sqlite, store).await;
    let mut leader = rig.start();
    rig.is_ready().await;
    for round in 0..rounds as usize {
        let waits = (round + 1) % 2;
        let standby = rig.start_either(waits);
        rig.is_standby(waits).await;
        assert_eq!(rig.get_of(waits, "/healthz").await.0, 200);
        standby.says(1, &["standby: another process leads this store", &leader.id().to_string()]).await;
        rig.platform.file(&format!("r{round}"), "csam", now()).await;
        rig.rang(20, &rig.p0_reference(&format!("r{round}"))).await;

        leader.signal("TERM");
        standby.says(1, &["leading the store", &format!("token={}", round + 2)]).await;
        assert_eq!(leader.ends(5).await.code(), Some(0));
        rig.either_is_ready(waits, 20).await;
        leader = standby;
    }
    assert!(leader.is_running());
    no_page_came_under_two_keys(&rig);
    assert_eq!((rig.receiver.rings(), rig.rings().len()), (rounds, rounds as usize));
}

#[tokio::test]
async fn a_store_that_restarts_under_two_processes_has_one_writer_and_every_page_comes() {
    restarted("restarted", ROUNDS).await;
}

#[tokio::test]
#[ignore = "long: fifty rounds take some five minutes"]
async fn a_store_that_restarts_under_two_processes_fifty_times() {
    restarted("restarted_long", ROUNDS_LONG).await;
}

async fn restarted(hint: &str, rounds: u32) {
    let server = PrivatePostgres::start().await;
    let mut rig = Rig::new(hint, Base::Sqlite, Base::Sqlite).await;
    rig.settings.store_url = server.database("tocsin").await;
    let record = Record::of(&rig).await;
    let leader = rig.start_either(0);
    rig.is_ready().await;
    let mut monitors = [leader, rig.start_either(1)];
    rig.is_standby(1).await;
    for round in 0..rounds {
        let id = format!("r{round}");
        rig.platform.file(&id, "csam", now()).await;
        server.restart(["fast", "immediate"][round as usize % 2]);
        rig.rang(30, &rig.p0_reference(&id)).await;
        // Whoever led and found the lease gone has ended; a service manager would start it again.
        for (which, monitor) in monitors.iter_mut().enumerate() {
            if !monitor.is_running() {
                *monitor = rig.start_either(which);
            }
        }
    }
    no_page_came_under_two_keys(&rig);
    assert_eq!(rig.rings().len(), rounds as usize);
    record.has_one_writer_at_a_time().await;
}

#[tokio::test]
async fn a_killed_leader_is_followed_within_ten_seconds_and_no_page_is_lost() {
    killed("follow", ROUNDS).await;
}

#[tokio::test]
#[ignore = "long: fifty rounds take some eight minutes"]
async fn a_killed_leader_is_followed_within_ten_seconds_fifty_times() {
    killed("follow_long", ROUNDS_LONG).await;
}

async fn killed(hint: &str, rounds: u32) {
    let rig = Rig::new(hint, Base::Sqlite, Base::Postgres).await;
    let record = Record::of(&rig).await;
    let mut leader = rig.start();
    rig.is_ready().await;
    for round in 0..rounds {
        let (leads, waits) = (round as usize % 2, (round as usize + 1) % 2);
        let standby = rig.start_either(waits);
        rig.is_standby(waits).await;
        record.leader_is_elsewhere().await;
        rig.platform.file(&format!("due{round}"), "csam", now()).await;
        eventually("the leader has seen it", secs(10), async || {
            let (_, queue) = rig.get_of(leads, "/api/v1/queue").await;
            hold(queue.contains(&format!("due{round}")), || queue)
        })
        .await;
        leader.kill();
        let killed_at = now();
        record.is_led_since(killed_at, TAKEOVER_SECS).await;
        rig.rang(TAKEOVER_SECS, &rig.p0_reference(&format!("due{round}"))).await;
        leader = standby;
    }
    assert_eq!(rig.rings().len(), rounds as usize);
    no_page_came_under_two_keys(&rig);
    record.has_one_writer_at_a_time().await;
}

/// Known dead, it needn't be waited for.
#[tokio::test]
async fn a_process_that_was_killed_on_this_machine_is_followed_at_once() {
    let rig = Rig::new("follow_here", Base::Sqlite, Base::Sqlite).await;
    let mut leader = rig.start();
    rig.is_ready().await;
    let standby = rig.start_another();
    rig.is_standby(1).await;
    leader.kill();
    standby.says(3, &["leading the store"]).await;
}

#[tokio::test]
async fn a_leader_that_was_frozen_in_a_transaction_never_writes_again() {
    let [a, b, c, d, e] =
        ["a", "b", "c", "d", "e"].map(|each| async move { frozen(&format!("frozen_{each}"), 1, 9).await });
    tokio::join!(a, b, c, d, e);
}

#[tokio::test]
#[ignore = "long: fifty rounds of half a minute"]
async fn a_leader_that_was_frozen_in_a_transaction_for_half_a_minute_never_writes_again() {
    frozen("frozen_long", ROUNDS_LONG, 30).await;
}

async fn frozen(hint: &str, rounds: u32, for_secs: i64) {
    let rig = Rig::new(hint, Base::Sqlite, Base::Postgres).await;
    let record = Record::of(&rig).await;
    let mut leader = rig.start();
    rig.is_ready().await;
    for round in 0..rounds {
        let standby = rig.start_either((round as usize + 1) % 2);
        rig.is_standby((round as usize + 1) % 2).await;
        // The leader holds the store's one row and waits for a table.
        let mut lock = PgConnection::connect(&rig.settings.store_url).await.unwrap();
        let mut watch = PgConnection::connect(&rig.settings.store_url).await.unwrap();
        lock.execute("BEGIN; LOCK TABLE cases IN EXCLUSIVE MODE").await.unwrap();
        rig.platform.file(&format!("due{round}"), "csam", now()).await;
        eventually("the leader is in a transaction", secs(10), async || {
            let waiting = "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() \
                 AND application_name = 'tocsin' AND wait_event_type = 'Lock' AND query LIKE 'INSERT INTO cases%'";
            let count: i64 = sqlx::query_scalar(waiting).fetch_one(&mut watch).await.unwrap();
            hold(count == 1, || "nobody waits".to_owned())
        })
        .await;
        leader.signal("STOP");
        let frozen_at = now();
        lock.execute("COMMIT").await.unwrap();
        record.is_led_since(frozen_at, TAKEOVER_SECS).await;
        rig.rang(TAKEOVER_SECS, &rig.p0_reference(&format!("due{round}"))).await;
        SystemClock.sleep_until(frozen_at.plus(secs(for_secs))).await;
        leader.signal("CONT");
        assert_eq!(leader.ends(10).await.code(), Some(1));
        leader.says(1, &["another process leads this store"]).await;
        leader = standby;
    }
    no_page_came_under_two_keys(&rig);
    record.has_one_writer_at_a_time().await;
}

#[tokio::test]
async fn l12_a_leader_that_is_cut_off_from_the_store_is_followed_and_every_page_comes_under_one_key() {
    let [a, b, c, d, e] =
        ["a", "b", "c", "d", "e"].map(|each| async move { cut_off(&format!("cut_off_{each}"), 1).await });
    tokio::join!(a, b, c, d, e);
}

#[tokio::test]
#[ignore = "long: fifty rounds take some fifteen minutes"]
async fn a_leader_that_is_cut_off_from_the_store_is_followed_fifty_times() {
    cut_off("cut_off_long", ROUNDS_LONG).await;
}

async fn cut_off(hint: &str, rounds: u32) {
    for round in 0..rounds {
        let mut rig = Rig::new(&format!("{hint}{round}"), Base::Sqlite, Base::Postgres).await;
        let record = Record::of(&rig).await;
        let direct = rig.settings.store_url.clone();
        let wire = rig.put_a_wire_before_the_store().await;
        let mut leader = rig.start();
        rig.is_ready().await;
        rig.settings.store_url = direct;
        let mut standby = rig.start_another();
        rig.is_standby(1).await;
        file(&rig, "before", 5).await;
        wire.set(Wire::Held);
        let cut_at = now();
        file(&rig, "during", 5).await;
        record.is_led_since(cut_at, TAKEOVER_SECS).await;
        file(&rig, "after", 5).await;
        for id in ["before", "during", "after"].iter().flat_map(|word| (0..5).map(move |n| format!("{word}{n}"))) {
            rig.rang(20, &rig.p0_reference(&id)).await;
        }
        wire.set(Wire::Open);
        assert_eq!(leader.ends(20).await.code(), Some(1));
        leader.says(1, &["another process leads this store"]).await;
        assert!(standby.is_running());
        no_page_came_under_two_keys(&rig);
        record.has_one_writer_at_a_time().await;
    }
}

async fn file(rig: &Rig, word: &str, count: u32) {
    for n in 0..count {
        rig.platform.file(&format!("{word}{n}"), "csam", now()).await;
    }
}

/// Sent twice it may be, by a leader and by its follower; under one key it rings once.
fn no_page_came_under_two_keys(rig: &Rig) {
    let rings = rig.rings();
    let doubled: Vec<_> = rings.iter().filter(|(_, keys)| keys.len() > 1).collect();
    assert!(doubled.is_empty(), "a page came under two keys: {doubled:?}");
}

/// What the store itself records of who writes.
struct Record {
    url: String,
}

impl Record {
    /// Begins with a first start, which makes the tables and stops.
    async fn of(rig: &Rig) -> Record {
        rig.store().await.close().await;
        let record = Record { url: rig.settings.store_url.clone() };
        record
            .run(
                "CREATE TABLE record (n BIGINT GENERATED ALWAYS AS IDENTITY, token BIGINT, sequence BIGINT, \
                 at TIMESTAMPTZ DEFAULT clock_timestamp()); \
                 CREATE FUNCTION record() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
                 IF NEW.sequence <> OLD.sequence OR NEW.leader_token <> OLD.leader_token THEN \
                 INSERT INTO record (token, sequence) VALUES (NEW.leader_token, NEW.sequence); END IF; \
                 RETURN NEW; END $$; \
                 CREATE TRIGGER record BEFORE UPDATE ON deployment FOR EACH ROW EXECUTE FUNCTION record()",
            )
            .await;
        record
    }

    async fn run(&self, sql: &'static str) {
        let mut conn = PgConnection::connect(&self.url).await.unwrap();
        sqlx::raw_sql(sql).execute(&mut conn).await.unwrap();
    }

    /// Whoever leads looks as if it ran on another machine, of which nobody here knows whether it lives.
    async fn leader_is_elsewhere(&self) {
        self.run("UPDATE deployment SET leader_holder = 'elsewhere:1 another machine'").await;
    }

    async fn is_led_since(&self, since: Timestamp, within_secs: i64) {
        let mut conn = PgConnection::connect(&self.url).await.unwrap();
        let left = since.plus(secs(within_secs)).since(now());
        eventually("another process leads", left, async || {
            let leader_since: Option<i64> =
                sqlx::query_scalar("SELECT leader_since FROM deployment").fetch_one(&mut conn).await.unwrap();
            let taken = leader_since.is_some_and(|at| at >= since.micros());
            hold(taken, || format!("nobody since {since:?}"))
        })
        .await;
    }

    /// Tokens never go back, and each plan has the number after the last.
    async fn has_one_writer_at_a_time(&self) {
        let mut conn = PgConnection::connect(&self.url).await.unwrap();
        let rows: Vec<(i64, i64)> =
            sqlx::query_as("SELECT token, sequence FROM record ORDER BY n").fetch_all(&mut conn).await.unwrap();
        assert!(rows.len() >= 3, "{rows:?}");
        for pair in rows.windows(2) {
            let [(token, sequence), (next_token, next_sequence)] = pair else { unreachable!() };
            let plan = next_token == token && *next_sequence == sequence + 1;
            let takeover = *next_token == token + 1 && next_sequence == sequence;
            assert!(plan || takeover, "{pair:?} in {rows:?}");
        }
    }
}
