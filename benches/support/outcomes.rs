//! Millions of outcomes and their breaches, drawn by SQLite itself, so that they are there in minutes; and what a report
//! over them must say, counted in the same pass without a store.

use super::SOURCE;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, Row, SqliteConnection};
use std::collections::BTreeMap;
use std::path::Path;
use tocsin::core::id::{CaseKey, EpisodeKey, IncidentNo, ReportId, ReportKey};
use tocsin::core::incident::{Incident, IncidentKind};
use tocsin::core::policy::Priority;
use tocsin::core::time::{Span, Timestamp};
use tocsin::weekly::count::Bounds;
use tocsin::weekly::figures::GroupFigures;

/// One row for each case of the weeks that count and of the week before them, in the order in which they were received.
/// 1 % are P0, in one category, the rest in ten, each of them in two priorities; 13 % end after their deadline. Who ends
/// after now is open still: no outcome, but a breach once the deadline has passed. Multiplications by primes draw.
const DRAWN: &str = "
  WITH RECURSIVE
  case_no(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM case_no WHERE i + 1 < {cases}),
  drawn AS (SELECT i, {from} + CAST(i * ({until} - {from} + 0.0) / {cases} AS INTEGER) AS received,
      i * 1103515245 % 2147483647 % 1000 AS a, i * 1597334677 % 2147483629 % 1000 AS b,
      i * 1812433253 % 2147483587 % 1000 AS c, i * 1664525013 % 2147483579 % 1000003 / 1000003.0 AS d,
      i * 1284865837 % 2147483563 % 100 AS e FROM case_no),
  placed AS (SELECT *, CASE WHEN a < 10 THEN 0 ELSE 1 + b % 10 END AS category,
      CASE WHEN a < 10 THEN 0 ELSE 1 + (b % 10 + a % 2) % 4 END AS priority, c < 130 AS late FROM drawn),
  promised AS (SELECT *, received + CASE priority WHEN 0 THEN 86400000000 WHEN 1 THEN 86400000000
      WHEN 2 THEN 172800000000 WHEN 3 THEN 259200000000 ELSE 604800000000 END AS deadline FROM placed),
  cases AS (SELECT *, received + 1 + CAST((deadline - received) * CASE WHEN late THEN 1 + d ELSE d * d END AS INTEGER)
      AS ended FROM promised)";

const OUTCOMES: &str = "INSERT INTO outcomes (episode, source, category, rule, priority, standing, received,
    first_response, ended_at, conclusion, reports, reopenings, targets, second_review, overturned, last_due, basis)
  {drawn} SELECT printf('{source}/i:%010d/0', i), '{source}', 'category ' || category, 'a rule', 'P' || priority,
    'known', received, received + (ended - received) / 2, ended,
    CASE WHEN e < 60 THEN 'violation' WHEN e < 85 THEN 'no_violation' WHEN e < 99 THEN 'closed' ELSE 'vanished' END,
    1 + (e = 7), e = 11, printf('[{{\"target\":\"closed\",\"deadline\":%d,\"met_at\":%s,\"breached\":%s}}]', deadline,
      CASE WHEN e < 99 THEN ended ELSE 'null' END, CASE WHEN late THEN 'true' ELSE 'false' END),
    e < 80, e = 13, deadline, 'observed' FROM cases WHERE ended < {now}";

/// P0 has an incident each, the rest one for each category and four hours.
const BREACHES: &str = "INSERT INTO breaches (episode, target, report, deadline, source, first_report, category, rule,
    priority, started, detected_at, inherited, status, ended, ended_at, contradicted_at, incident, policy_hash, keys,
    known)
  {drawn} SELECT printf('{source}/i:%010d/0', i), 'closed', '', deadline, '{source}', printf('{source}/i:%010d', i),
    'category ' || category, 'a rule', 'P' || priority, received, deadline + 1 + i % 50 * 1000000, 0, 'verified',
    CASE WHEN ended < {now} THEN 'met' END, CASE WHEN ended < {now} THEN ended END, NULL,
    CASE WHEN priority = 0 THEN 1000000 + i ELSE deadline / 14400000000 % 10000 * 16 + category END,
    '0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef', printf('{{\"of\":%d}}', i),
    '{{\"what was known of it then\":\"' || substr(hex(zeroblob(100)), 1, 200) || '\"}}'
  FROM cases WHERE late AND deadline < {now}";

const INCIDENTS: &str =
    "INSERT INTO incidents (no, kind, escalation, open, opened_at, resolved_at, acknowledged, state)
  SELECT incident, 'group', 'default', 0, MIN(detected_at), MAX(COALESCE(ended_at, detected_at)), 0,
    json_set('{state}', '$.no', incident, '$.opened_at', MIN(detected_at),
      '$.resolved_at', MAX(COALESCE(ended_at, detected_at))) FROM breaches GROUP BY incident";

const PAGES: &str = "INSERT INTO pages (incident, round, step, channel, kind, priority, created_at, alert_key,
    delivery_key, payload, state, attempts, due_at, accepted_at)
  SELECT no, 0, 0, 'hook', 'ring', 'P1', opened_at, no, no, '{{}}', 'accepted', 1, opened_at, opened_at + 2000000
  FROM incidents";

const EXPECTED: &str = "{drawn} SELECT 'P' || priority,
    SUM(ended < {now} AND received >= {week} AND received < {until}),
    SUM(ended < {now} AND ended >= {week} AND ended < {until} AND e < 99),
    SUM(ended < {now} AND ended >= {until} AND received < {until}),
    SUM(ended < {now} AND deadline >= {week} AND deadline < {until} AND NOT late AND e < 99),
    SUM(ended < {now} AND deadline >= {week} AND deadline < {until} AND late),
    SUM(late AND deadline >= {week} AND deadline < {until}),
    SUM(ended < {now}), SUM(late AND deadline < {now})
  FROM cases GROUP BY priority";

/// What is to be drawn.
pub struct Drawn {
    pub cases: usize,
    pub bounds: Bounds,
    pub now: Timestamp,
}

/// How much there is, and what a report must say of each priority.
pub struct Expected {
    pub outcomes: i64,
    pub breaches: i64,
    /// Received, closed, open, met, missed, breaches.
    pub of: BTreeMap<String, [u64; 6]>,
}

impl Drawn {
    fn sql(&self, sql: &str) -> String {
        let (bounds, state) = (self.bounds, serde_json::to_string(&self.incident()).unwrap());
        let before = bounds.earliest().minus(Span::from_hours(168));
        let numbers = [
            ("{cases}", self.cases as i64 * 6 / 5),
            ("{from}", before.micros()),
            ("{week}", bounds.from().micros()),
            ("{until}", bounds.until().micros()),
            ("{now}", self.now.micros()),
        ];
        let sql = sql.replace("{drawn}", DRAWN).replace("{source}", SOURCE);
        let sql = numbers.iter().fold(sql, |sql, (name, number)| sql.replace(name, &number.to_string()));
        sql.replace("{{", "{").replace("}}", "}").replace("{state}", &state)
    }

    fn incident(&self) -> Incident {
        let key = ReportKey { source: SOURCE.into(), id: ReportId::Int(1), incarnation: 0 };
        let kind = IncidentKind::Episode(EpisodeKey { case: CaseKey::Report(key), episode: 0 });
        let mut incident = Incident::open(IncidentNo(1), kind, "default".into(), self.now);
        incident.breach(Priority::P0, None, self.now);
        incident
    }

    /// Fills a store that nobody has open. Indexes and triggers are made anew afterwards: they are for single writes.
    pub async fn fill(&self, file: &Path) {
        let options = SqliteConnectOptions::new().filename(file).foreign_keys(false);
        let mut db = options.connect().await.unwrap();
        let made = "SELECT type, name, sql FROM sqlite_master WHERE tbl_name IN ('outcomes', 'breaches') \
             AND type IN ('index', 'trigger') AND sql IS NOT NULL";
        let made: Vec<(String, String, String)> = sqlx::query_as(made).fetch_all(&mut db).await.unwrap();
        run(&mut db, "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -400000").await;
        for (kind, name, _) in &made {
            run(&mut db, &format!("DROP {kind} {name}")).await;
        }
        for sql in [OUTCOMES, BREACHES, INCIDENTS, PAGES] {
            run(&mut db, &self.sql(sql)).await;
        }
        for (_, _, sql) in &made {
            run(&mut db, sql).await;
        }
        db.close().await.unwrap();
    }

    /// Counts what was drawn, without what was stored.
    pub async fn expected(&self) -> Expected {
        let mut db = SqliteConnection::connect("sqlite::memory:").await.unwrap();
        let mut expected = Expected { outcomes: 0, breaches: 0, of: BTreeMap::new() };
        for row in db.fetch_all(AssertSqlSafe(self.sql(EXPECTED))).await.unwrap() {
            let counts = std::array::from_fn(|at| u64::try_from(row.get::<i64, _>(at + 1)).unwrap());
            expected.of.insert(row.get(0), counts);
            expected.outcomes += row.get::<i64, _>(7);
            expected.breaches += row.get::<i64, _>(8);
        }
        expected
    }
}

impl Expected {
    /// Fails where the report says anything else.
    pub fn holds(&self, groups: &[GroupFigures]) {
        assert_eq!(groups.len(), self.of.len());
        for group in groups {
            let told = [
                group.received,
                group.closed,
                group.open,
                group.deadlines.met,
                group.deadlines.missed,
                group.breaches.happened(),
            ];
            assert_eq!(told, self.of[&group.priority], "{}", group.priority);
            assert_eq!(group.received, group.closing.count, "{}", group.priority);
        }
    }
}

async fn run(db: &mut SqliteConnection, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(db).await.unwrap();
}
