//! SIGHUP: another configuration is taken as a whole or refused as a whole, and nothing stops for it.

use super::platform::Base;
use super::rig::Rig;
use super::{eventually, hold, now, secs};

#[tokio::test]
async fn l03_sighup_judges_open_reports_by_the_new_policy_without_a_restart() {
    let mut rig = Rig::new("reload", Base::Sqlite, Base::Sqlite).await;
    rig.settings.within = "40h";
    let mut monitor = rig.start();
    rig.platform.file("minor", "csam", now().minus(secs(60))).await;
    rig.platform.file("threat", "threat", now().minus(secs(60))).await;
    rig.is_ready().await;
    assert_eq!(rig.receiver.rings(), 0);
    rig.settings.within = "3s";
    rig.rewrite();
    monitor.signal("HUP");
    rig.rang(20, &rig.p0_reference("minor")).await;
    rig.rang(20, &rig.reference("threat")).await;
    assert!(monitor.is_running());
}

#[tokio::test]
async fn a_bad_configuration_is_refused_whole_and_status_and_metrics_say_so_until_a_good_one_is_taken() {
    let rig = Rig::new("reload_bad", Base::Sqlite, Base::Sqlite).await;
    let monitor = rig.start();
    rig.is_ready().await;
    let file = rig.scratch.path().join("tocsin.toml");
    let good = std::fs::read_to_string(&file).unwrap();
    for (bad, said) in [
        (good.replace("\"P1\"", "\"P0\""), "no rule can have the priority P0"),
        (good.replace("poll    = \"1s\"", "poll    = \"2s\""), "[[sources]] changed, which only a start reads"),
    ] {
        std::fs::write(&file, bad).unwrap();
        monitor.signal("HUP");
        eventually("the refusal is told", secs(20), async || {
            let (_, status) = rig.get("/api/v1/status").await;
            hold(status.contains(said), || status.clone())
        })
        .await;
        let (_, metrics) = rig.get("/metrics").await;
        assert!(metrics.contains("tocsin_config_reload_refused 1"), "{metrics}");
    }
    rig.platform.file("late", "csam", now().minus(secs(60))).await;
    rig.rang(20, &rig.p0_reference("late")).await;
    std::fs::write(&file, good).unwrap();
    monitor.signal("HUP");
    eventually("the good one is taken", secs(20), async || {
        let (_, metrics) = rig.get("/metrics").await;
        hold(metrics.contains("tocsin_config_reload_refused 0"), || "still refused".to_owned())
    })
    .await;
}

#[tokio::test]
async fn what_a_reload_names_has_its_series_before_anything_counts_in_them_and_none_vanishes() {
    let mut rig = Rig::new("reload_series", Base::Sqlite, Base::Sqlite).await;
    let monitor = rig.start();
    rig.is_ready().await;
    let hook = rig.settings.hook_url.clone();
    rig.settings.channels =
        format!("second = {{ kind = \"webhook\", url = \"{hook}\", secret_env = \"TEST_HOOK_SECRET\" }}");
    rig.write_config();
    let file = rig.scratch.path().join("tocsin.toml");
    let text = std::fs::read_to_string(&file).unwrap().replace("[\"csam\"]", "[\"csam\", \"newly_named\"]");
    std::fs::write(&file, text).unwrap();
    monitor.signal("HUP");
    let breaches = |category: &str| {
        format!(
            "tocsin_breaches_total{{source=\"reports\",category=\"{category}\",priority=\"P0\",target=\"first_response\"}} 0"
        )
    };
    let wanted = [
        breaches("newly_named"),
        breaches("csam"),
        "tocsin_pages{channel=\"second\",state=\"queued\"} 0".to_owned(),
        "tocsin_page_attempts_total{channel=\"second\",result=\"accepted\"} 0".to_owned(),
        "tocsin_page_attempts_total{channel=\"hook\",result=\"accepted\"} 0".to_owned(),
    ];
    eventually("the series of what is new", secs(20), async || {
        let (_, metrics) = rig.get("/metrics").await;
        let missing: Vec<&String> = wanted.iter().filter(|line| !metrics.contains(&***line)).collect();
        hold(missing.is_empty(), || format!("{missing:?} in {metrics}"))
    })
    .await;
}
