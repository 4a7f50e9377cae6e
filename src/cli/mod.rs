//! What a person types. The only place that prints: answers to stdout, complaints to stderr.

pub mod check;
pub mod init;

use crate::config::{Config, Drawing, Need};
use std::path::Path;

/// The configuration is at fault; EX_CONFIG of sysexits.h.
pub const EXIT_CONFIG: u8 = 78;
/// The command itself failed, such as on a file that can't be written.
pub const EXIT_FAILED: u8 = 1;

/// Loads the configuration in the process's own environment; when it is refused, prints every reason and
/// returns `None`: exit with [`EXIT_CONFIG`].
#[expect(clippy::print_stderr, reason = "the command line is where people are told")]
pub fn load_config(file: &Path, need: Need) -> Option<Config> {
    match Config::load_for(file, &|name| std::env::var(name).ok(), need) {
        Ok(config) => Some(config),
        Err(errors) => {
            let count = errors.0.problems().len();
            eprintln!("{}\n", errors.0.render(drawing(&std::io::stderr())));
            let problems = if count == 1 { "1 problem".to_owned() } else { format!("{count} problems") };
            eprintln!("{} was refused: {problems}", file.display());
            None
        }
    }
}

/// Colours and lines for a terminal, unless NO_COLOR asks for none.
pub(crate) fn drawing(stream: &impl std::io::IsTerminal) -> Drawing {
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    if stream.is_terminal() && !no_color { Drawing::Terminal } else { Drawing::Plain }
}
