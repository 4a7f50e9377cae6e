//! A real Chromium, driven by Debian's chromedriver over the W3C WebDriver protocol. Each value is a browser of its own,
//! gone with it. A machine without chromedriver fails the test and says what to install.

use crate::binary::rig::free_port;
use crate::web_page::client;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tokio::time::timeout;

/// How long something may take to show.
const SHOWS_WITHIN: Duration = Duration::from_secs(20);

/// What a page is looked at with.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    pub width: u32,
    pub height: u32,
    pub dark: bool,
    pub script: bool,
}

pub const PHONE: Look = Look { width: 390, height: 844, dark: false, script: true };
pub const DESKTOP: Look = Look { width: 1_280, height: 900, dark: false, script: true };

pub struct Browser {
    driver: Child,
    client: reqwest::Client,
    session: String,
}

impl Browser {
    pub async fn open(look: Look) -> Browser {
        let port = free_port();
        let mut command = Command::new("chromedriver");
        command.arg(format!("--port={port}")).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        let driver = command.spawn().expect("start chromedriver: install Debian's chromium-driver; tests/run does");
        let client = client();
        let base = format!("http://127.0.0.1:{port}");
        let mut browser = Browser { driver, client, session: base.clone() };
        browser
            .until("chromedriver listens", async |browser| {
                browser.client.get(format!("{base}/status")).send().await.is_ok()
            })
            .await;
        let arguments =
            ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"];
        let options = json!({ "args": arguments, "prefs": {} });
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": { "browser": "ALL" },
        } } });
        let opened = browser.ask("POST", "/session", wanted).await;
        let id = opened["sessionId"].as_str().unwrap_or_else(|| panic!("no session: {opened}"));
        browser.session = format!("{base}/session/{id}");
        let metrics =
            json!({ "width": look.width, "height": look.height, "deviceScaleFactor": 1, "mobile": look.width < 600 });
        browser.cdp("Emulation.setDeviceMetricsOverride", metrics).await;
        let scheme = json!({ "features": [
            { "name": "prefers-color-scheme", "value": if look.dark { "dark" } else { "light" } },
        ] });
        browser.cdp("Emulation.setEmulatedMedia", scheme).await;
        if !look.script {
            browser.cdp("Emulation.setScriptExecutionDisabled", json!({ "value": true })).await;
        }
        browser
    }

    async fn ask(&self, method: &str, path: &str, body: Value) -> Value {
        let request = self.client.request(method.parse().unwrap(), format!("{}{path}", self.session));
        let request = if method == "GET" { request } else { request.body(body.to_string()) };
        let answer = request.header("content-type", "application/json").send().await.expect("chromedriver answers");
        let text = answer.text().await.expect("an answer has a body");
        let value: Value = serde_json::from_str(&text).expect("chromedriver speaks JSON");
        value["value"].clone()
    }

    pub async fn cdp(&self, command: &str, parameters: Value) -> Value {
        self.ask("POST", "/goog/cdp/execute", json!({ "cmd": command, "params": parameters })).await
    }

    pub async fn goes_to(&self, url: &str) {
        let answer = self.ask("POST", "/url", json!({ "url": url })).await;
        assert!(answer.is_null(), "{url}: {answer}");
    }

    /// The value of a script's `return`.
    pub async fn run(&self, script: &str) -> Value {
        self.ask("POST", "/execute/sync", json!({ "script": script, "args": [] })).await
    }

    /// The value that a script hands to its callback, `done`.
    pub async fn run_async(&self, script: &str) -> Value {
        let script = format!("const done = arguments[arguments.length - 1]; {script}");
        self.ask("POST", "/execute/async", json!({ "script": script, "args": [] })).await
    }

    /// All that is to be read on the page.
    pub async fn text(&self) -> String {
        self.run("return document.body.innerText").await.as_str().unwrap_or_default().to_owned()
    }

    /// Waits until the page says so.
    pub async fn says(&self, words: &str) {
        let says = self.until_or_not(async |browser: &Browser| browser.text().await.contains(words)).await;
        assert!(says, "the page does not say \"{words}\":\n{}", self.text().await);
    }

    async fn until(&self, what: &str, holds: impl AsyncFn(&Browser) -> bool) {
        assert!(self.until_or_not(holds).await, "{what}");
    }

    async fn until_or_not(&self, holds: impl AsyncFn(&Browser) -> bool) -> bool {
        let asked = async {
            while !holds(self).await {
                let _ = timeout(Duration::from_millis(100), std::future::pending::<()>()).await;
            }
        };
        timeout(SHOWS_WITHIN, asked).await.is_ok()
    }

    /// Presses keys where the focus is: text, or "\u{E004}" for Tab and "\u{E007}" for Enter.
    pub async fn types(&self, keys: &str) {
        let presses = keys
            .chars()
            .flat_map(|key| ["keyDown", "keyUp"].map(|kind| json!({ "type": kind, "value": key.to_string() })));
        let presses: Vec<Value> = presses.collect();
        let actions = json!({ "actions": [{ "type": "key", "id": "keyboard", "actions": presses }] });
        self.ask("POST", "/actions", actions).await;
    }

    /// What has the focus: its text and its href or name.
    pub async fn focus(&self) -> (String, String) {
        let script =
            "const at = document.activeElement; return [at.innerText || '', at.getAttribute('href') || at.name || '']";
        let focused = self.run(script).await;
        let word = |at: usize| focused[at].as_str().unwrap_or_default().to_owned();
        (word(0), word(1))
    }

    /// What the console has said since it was last asked, but for what says nothing of the page.
    pub async fn console(&self) -> Vec<String> {
        let log = self.ask("POST", "/se/log", json!({ "type": "browser" })).await;
        let entries = log.as_array().cloned().unwrap_or_default();
        entries.iter().map(|entry| entry["message"].as_str().unwrap_or_default().to_owned()).collect()
    }

    pub async fn screenshot(&self, whole: bool) -> Vec<u8> {
        let shot = self.cdp("Page.captureScreenshot", json!({ "format": "png", "captureBeyondViewport": whole })).await;
        STANDARD.decode(shot["data"].as_str().expect("a screenshot has data")).expect("base64")
    }

    pub async fn close(self) {
        self.ask("DELETE", "", Value::Null).await;
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Its browser is of its process group, and outlives it otherwise where a test has failed.
        let _ = Command::new("kill").args(["-KILL", "--", &format!("-{}", self.driver.id())]).status();
        let _ = self.driver.wait();
    }
}
