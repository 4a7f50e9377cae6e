//! `tocsin init --preset`: looks which columns a platform's database has and takes the generation of the preset
//! that reads them.

use super::CliError;
use crate::config::preset::{self, Misfit, Preset, Tables};
use crate::secret::Secret;
use crate::source;

/// The configuration, and what it could not know.
///
/// # Errors
/// When there is no such preset, or the database can't be reached or is of another generation: with what it lacks.
pub async fn fitted(name: &str, url: Option<&str>) -> Result<(String, Vec<String>), CliError> {
    let failed = |cause: String| CliError::Failed { operation: "write a preset", cause };
    let Some(preset) = preset::named(name) else {
        let known = preset::names().collect::<Vec<_>>().join(", ");
        return Err(failed(format!("there is no preset \"{name}\"; there are {known}")));
    };
    let fitted = match url {
        None => preset.newest(&preset.example),
        Some(url) => {
            let found = look(&preset, &Secret::new(url)).await?;
            preset.fit(&found, url).map_err(|misfit| failed(lacking(&preset, name, &misfit, &found)))?
        }
    };
    let mut notes = fitted.unknown;
    notes.extend(
        fitted.left_out.iter().map(|group| format!("left out, because the database has no such table: {group}")),
    );
    Ok((fitted.text, notes))
}

/// The columns of the preset's tables, as far as the role may see them.
async fn look(preset: &Preset, url: &Secret) -> Result<Tables, CliError> {
    let there = source::tables(url).await?;
    let mut found = Tables::new();
    for table in preset.tables().into_iter().filter(|table| there.iter().any(|name| name == table)) {
        let columns = source::columns_of(url, table).await?;
        found.insert(table.to_owned(), columns.into_iter().map(|column| column.name).collect());
    }
    Ok(found)
}

fn lacking(preset: &Preset, name: &str, misfit: &Misfit, found: &Tables) -> String {
    let mut lines = vec![format!("this database is not of a version that the preset {name} knows ({}):", preset.title)];
    for (table, columns) in &misfit.missing {
        lines.push(match found.get(table) {
            None => format!("  there is no table {table}"),
            Some(there) => format!("  table {table} lacks {}; it has {}", columns.join(", "), there.join(", ")),
        });
    }
    lines.push(format!(
        "is it the platform's own database, and may the role see these columns? if it is of another version, write what \
         the preset reads now (tocsin init --preset {name} --output tocsin.toml), replace these columns by what your \
         version has instead, and let tocsin check judge it"
    ));
    lines.join("\n")
}
