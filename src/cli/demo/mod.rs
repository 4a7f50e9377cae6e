//! `tocsin demo`: a synthetic platform in a temporary SQLite file, and the real monitor over it. Nothing
//! leaves this machine, and everything is gone when it stops.

mod quarter;
mod world;

use crate::cli::out::say;
use crate::cli::{CliError, load_config, serve};
use crate::config::Need;
use crate::run::clock::Clock;
use crate::run::clock::SystemClock;
use crate::web::Demo;
use std::path::PathBuf;
use std::sync::Arc;
use world::{Presses, World};

const CONFIG: &str = include_str!("demo.toml");

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The same seed makes the same stream of reports.
    #[arg(long, default_value_t = 2020)]
    seed: u64,
    /// The page's port; 0 takes a free one.
    #[arg(long, default_value_t = 8080)]
    port: u16,
}

pub async fn run(args: Args) -> Result<(), CliError> {
    let directory = Directory::create()?;
    let path = directory.0.join("tocsin.toml");
    let text = CONFIG.replace("127.0.0.1:8080", &format!("127.0.0.1:{}", args.port));
    std::fs::write(&path, text).map_err(|cause| CliError::Write { path: path.clone(), cause })?;
    let config = load_config(&path, Need::All)?;
    let listener = match serve::listen(&config).await {
        Ok(listener) => listener,
        Err(_) => serve::listen_anywhere().await?,
    };
    let failed =
        |error: sqlx::Error| CliError::Failed { operation: "make the synthetic platform", cause: error.to_string() };
    let world = World::create(&directory.0.join("reports.db"), args.seed, SystemClock).await.map_err(failed)?;
    let buttons = Arc::new(Buttons { seed: args.seed, presses: world.presses() });
    tokio::spawn(async move {
        if let Err(error) = world.live().await {
            tracing::error!(%error, "the synthetic platform stopped");
        }
    });
    welcome(&listener)?;
    serve::serve(config, listener, Some(buttons)).await
}

fn welcome(listener: &tokio::net::TcpListener) -> Result<(), CliError> {
    let address = listener.local_addr();
    let address =
        address.map_err(|error| CliError::Failed { operation: "read the page's address", cause: error.to_string() })?;
    say!("tocsin demo: every report here is synthetic; targets are seconds where yours are hours");
    say!("  the queue and the pages:  http://{address}/");
    say!("  metrics and health:       http://{address}/metrics  /healthz  /readyz");
    say!("  the board has buttons for a storm of reports and for a blind minute");
    say!("  pages ring below as they fire, the first within 30 seconds; Ctrl-C stops");
    say!();
    Ok(())
}

/// What the board's buttons do.
struct Buttons {
    seed: u64,
    presses: Arc<Presses>,
}

impl Demo for Buttons {
    fn storm(&self) {
        self.presses.storm();
    }

    fn blind(&self) {
        self.presses.blind();
    }

    fn week(&self) -> String {
        quarter::report(self.seed, SystemClock.now())
    }
}

/// A directory of the demo's own, gone when it ends.
struct Directory(PathBuf);

impl Directory {
    fn create() -> Result<Self, CliError> {
        let path = std::env::temp_dir().join(format!("tocsin-demo-{}", std::process::id()));
        std::fs::create_dir_all(&path).map_err(|cause| CliError::Write { path: path.clone(), cause })?;
        Ok(Directory(path))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // What can't be removed is a few kilobytes in the temporary directory.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
