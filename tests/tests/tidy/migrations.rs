//! The laws of both databases' migrations, asked of SQLite itself: numbered without gaps, their sum written down in `schema.sql`,
//! every table strict, nothing waiting to be sent is ever touched, and what was released never changes.
//!
//! Beside each other in `<crate>/src/store/migrations/`: `001_name.sql`, `002_name.sql` ...; `schema.sql`, which a reader opens
//! first; and `migrations.lock`, with a line `<sha256>  <file>` for each released migration, in order.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::mpsc;

use rusqlite::Connection;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use sha2::{Digest, Sha256};

use crate::tree;

const FOLDERS: &[&str] = &["client-core/src/store/migrations", "server/src/store/migrations"];

/// Words in the names of tables whose rows are captured work: they may be added to, never emptied or rewritten.
const KEPT: &[&str] = &["outbox", "page"];

/// One folder of migrations.
struct Migrations {
    /// Name and SQL of each step, in order.
    steps: Vec<(String, String)>,
    schema: String,
    lock: String,
}

impl Migrations {
    fn read(folder: &Path) -> std::io::Result<Self> {
        let mut steps = Vec::new();
        for entry in fs::read_dir(folder)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if name.ends_with(".sql") && name != "schema.sql" {
                let sql = fs::read_to_string(folder.join(&name))?;
                steps.push((name, sql));
            }
        }
        steps.sort();
        let schema = fs::read_to_string(folder.join("schema.sql"))?;
        let lock = fs::read_to_string(folder.join("migrations.lock"))?;
        Ok(Self { steps, schema, lock })
    }

    fn faults(&self) -> rusqlite::Result<Vec<String>> {
        let mut found = self.misnumbered();
        found.extend(self.unlocked());
        found.extend(self.drifted()?);
        found.extend(self.loose()?);
        found.extend(self.losses()?);
        Ok(found)
    }

    fn misnumbered(&self) -> Vec<String> {
        let mut found = Vec::new();
        for (number, (name, _)) in (1..).zip(&self.steps) {
            let stem = name
                .strip_prefix(&format!("{number:03}_"))
                .and_then(|rest| rest.strip_suffix(".sql"));
            let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            if !stem.is_some_and(|stem| !stem.is_empty() && stem.chars().all(is_plain)) {
                found.push(format!("{name} should be {number:03}_name.sql, in lower case"));
            }
        }
        if self.steps.is_empty() {
            found.push("there is no migration".to_owned());
        }
        found
    }

    /// What was released and then changed, renamed, or put behind a newer step.
    fn unlocked(&self) -> Vec<String> {
        let lines: Vec<&str> = self
            .lock
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .collect();
        let mut found = Vec::new();
        for (at, line) in lines.iter().enumerate() {
            let now = self.steps.get(at).map(|(name, sql)| format!("{}  {name}", sha256(sql)));
            if now.as_deref() != Some(*line) {
                found.push(format!(
                    "migrations.lock says {line:?}, the tree {now:?}: a released step stays; add a new one"
                ));
            }
        }
        found
    }

    fn drifted(&self) -> rusqlite::Result<Vec<String>> {
        let (sum, written) = (schema_rows(&self.migrated()?)?, schema_rows(&opened(&self.schema)?)?);
        let only_sum = sum.difference(&written).map(|row| format!("schema.sql lacks {row}"));
        let only_written = written
            .difference(&sum)
            .map(|row| format!("the migrations do not make {row}"));
        Ok(only_sum.chain(only_written).collect())
    }

    fn loose(&self) -> rusqlite::Result<Vec<String>> {
        let db = self.migrated()?;
        let mut tables = db.prepare("SELECT name FROM pragma_table_list WHERE type = 'table' AND NOT strict ORDER BY name")?;
        let names = tables
            .query_map([], |row| row.get::<_, String>(0))?
            .collect::<Result<Vec<_>, _>>()?;
        Ok(names
            .into_iter()
            .filter(|name| !name.starts_with("sqlite_"))
            .map(|name| format!("{name} is not STRICT"))
            .collect())
    }

    /// Steps after the first that write in a kept table, or take it or a column of it away.
    fn losses(&self) -> rusqlite::Result<Vec<String>> {
        let mut db = Connection::open_in_memory()?;
        let mut found = Vec::new();
        for (name, sql) in &self.steps {
            let before = kept_columns(&db)?;
            let (touched, touches) = mpsc::channel();
            db.authorizer(Some(move |context: AuthContext<'_>| {
                if let Some(table) = written_table(&context.action) {
                    // The receiver outlives the step.
                    let _ = touched.send(table.to_lowercase());
                }
                Authorization::Allow
            }))?;
            db.execute_batch(sql)?;
            db.authorizer(None::<fn(AuthContext<'_>) -> Authorization>)?;
            let touches: BTreeSet<String> = touches.try_iter().filter(|table| before.contains_key(table)).collect();
            found.extend(
                touches
                    .into_iter()
                    .map(|table| format!("{name} writes in {table}, where captured work waits")),
            );
            let after = kept_columns(&db)?;
            for (table, columns) in before {
                let left = after.get(&table).cloned().unwrap_or_default();
                found.extend(
                    columns
                        .difference(&left)
                        .map(|column| format!("{name} takes away {table}.{column}")),
                );
            }
        }
        Ok(found)
    }

    fn migrated(&self) -> rusqlite::Result<Connection> {
        let db = Connection::open_in_memory()?;
        for (_, sql) in &self.steps {
            db.execute_batch(sql)?;
        }
        Ok(db)
    }
}

fn opened(sql: &str) -> rusqlite::Result<Connection> {
    let db = Connection::open_in_memory()?;
    db.execute_batch(sql)?;
    Ok(db)
}

/// Every row of the schema as one line, alike however it was laid out.
fn schema_rows(db: &Connection) -> rusqlite::Result<BTreeSet<String>> {
    let mut rows = db.prepare("SELECT type, name, tbl_name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY type, name")?;
    let rows = rows.query_map([], |row| {
        let (kind, name, table): (String, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok(format!("{kind} {name} on {table}: {}", normal(&row.get::<_, String>(3)?)))
    })?;
    rows.collect()
}

/// SQL as its tokens with one space between: without comments, layout, and quotes around plain names (a renamed table gets them).
fn normal(sql: &str) -> String {
    let mut tokens: Vec<String> = Vec::new();
    let mut rest = sql.trim_start();
    while let Some(first) = rest.chars().next() {
        let len = match first {
            '-' if rest.starts_with("--") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |at| at + 2),
            '\'' | '"' | '`' => rest[1..].find(first).map_or(rest.len(), |at| at + 2),
            c if is_plain(c) => rest.find(|c| !is_plain(c)).unwrap_or(rest.len()),
            c => c.len_utf8(),
        };
        let (token, tail) = rest.split_at(len);
        rest = tail.trim_start();
        let bare = token.trim_matches(['"', '`']);
        if !token.starts_with("--") && !token.starts_with("/*") {
            tokens.push(if bare.chars().all(is_plain) { bare } else { token }.to_owned());
        }
    }
    tokens.join(" ")
}

fn is_plain(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The tables of captured work, in lower case, with their columns.
fn kept_columns(db: &Connection) -> rusqlite::Result<BTreeMap<String, BTreeSet<String>>> {
    let mut columns = db.prepare(
        "SELECT lower(t.name), c.name FROM pragma_table_list AS t JOIN pragma_table_info(t.name) AS c \
         WHERE t.type = 'table' ORDER BY t.name, c.cid",
    )?;
    let columns = columns
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<Vec<(String, String)>, _>>()?;
    let mut kept = BTreeMap::<_, BTreeSet<_>>::new();
    for (table, column) in columns {
        if table.split('_').any(|word| KEPT.contains(&word.trim_end_matches('s'))) {
            kept.entry(table).or_default().insert(column);
        }
    }
    Ok(kept)
}

/// The table whose rows an action writes. Inserts count: `INSERT OR REPLACE` shows as one.
fn written_table<'a>(action: &AuthAction<'a>) -> Option<&'a str> {
    match action {
        AuthAction::Delete { table_name }
        | AuthAction::Insert { table_name }
        | AuthAction::Update { table_name, .. }
        | AuthAction::DropTable { table_name } => Some(table_name),
        _ => None,
    }
}

fn sha256(text: &str) -> String {
    Sha256::digest(text.as_bytes())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[test]
fn both_stores_have_migrations() {
    let missing: Vec<&&str> = FOLDERS.iter().filter(|folder| !tree::root().join(folder).is_dir()).collect();
    assert!(
        missing.is_empty(),
        "no migrations yet, so their laws hold nothing: {missing:?}"
    );
}

#[test]
fn every_migration_keeps_the_laws() {
    for folder in FOLDERS {
        let path = tree::root().join(folder);
        if !path.is_dir() {
            // Said aloud by `both_stores_have_migrations`.
            continue;
        }
        let migrations = Migrations::read(&path).unwrap_or_else(|error| {
            panic!("{folder} needs schema.sql and migrations.lock (empty until a release) beside the steps: {error}")
        });
        let found = migrations.faults().unwrap();
        assert!(found.is_empty(), "{folder}: {found:#?}");
    }
}

/// Two lawful steps.
fn lawful() -> Migrations {
    let first =
        "CREATE TABLE outbox (id INTEGER PRIMARY KEY, bytes BLOB NOT NULL) STRICT;\nINSERT INTO outbox VALUES (1, x'00');";
    let second = "ALTER TABLE outbox ADD COLUMN why TEXT; -- late\nCREATE INDEX outbox_why ON outbox (why);";
    Migrations {
        steps: vec![
            ("001_first.sql".to_owned(), first.to_owned()),
            ("002_why.sql".to_owned(), second.to_owned()),
        ],
        schema: "CREATE TABLE \"outbox\" (\n  id INTEGER PRIMARY KEY, -- rowid\n  bytes BLOB NOT NULL,\n  why TEXT\n) STRICT;\n\
                 CREATE INDEX outbox_why ON outbox(why);"
            .to_owned(),
        lock: format!("# released\n{}  001_first.sql\n", sha256(first)),
    }
}

#[test]
fn lawful_migrations_have_no_fault() {
    assert_eq!(lawful().faults().unwrap(), [""; 0]);
}

#[test]
fn a_gap_in_the_numbers_is_found() {
    let mut migrations = lawful();
    migrations.steps[1].0 = "003_why.sql".to_owned();
    assert_eq!(migrations.misnumbered().len(), 1);
    migrations.steps.clear();
    assert_eq!(migrations.misnumbered(), ["there is no migration"]);
}

#[test]
fn a_released_migration_that_changed_is_found() {
    let mut migrations = lawful();
    migrations.steps[0].1.push_str("-- better\n");
    assert_eq!(migrations.unlocked().len(), 1);
    migrations = lawful();
    migrations.steps.remove(0);
    assert_eq!(migrations.unlocked().len(), 1);
}

#[test]
fn a_schema_that_drifted_is_found() {
    for (from, to) in [
        ("why TEXT", "why BLOB"),
        ("bytes BLOB NOT NULL,", "bytes BLOB,"),
        ("outbox(why)", "outbox(id)"),
    ] {
        let mut migrations = lawful();
        migrations.schema = migrations.schema.replace(from, to);
        assert_eq!(migrations.drifted().unwrap().len(), 2, "{to}");
    }
    let mut migrations = lawful();
    migrations.schema.push_str("CREATE VIEW late AS SELECT 1;");
    assert_eq!(migrations.drifted().unwrap().len(), 1);
}

#[test]
fn a_table_that_is_not_strict_is_found() {
    let mut migrations = lawful();
    migrations.steps[0].1.push_str("CREATE TABLE loose (id INTEGER);");
    assert_eq!(migrations.loose().unwrap(), ["loose is not STRICT"]);
}

#[test]
fn a_migration_that_touches_the_outbox_is_found() {
    for sql in [
        "DELETE FROM outbox;",
        "UPDATE outbox SET bytes = x'';",
        "INSERT OR REPLACE INTO Outbox VALUES (1, x'', NULL);",
        "CREATE TABLE other (id INTEGER) STRICT; CREATE TRIGGER away AFTER INSERT ON other BEGIN DELETE FROM outbox; END; \
         INSERT INTO other VALUES (1);",
    ] {
        let mut migrations = lawful();
        migrations.steps.push(("003_bad.sql".to_owned(), sql.to_owned()));
        assert_eq!(
            migrations.losses().unwrap(),
            ["003_bad.sql writes in outbox, where captured work waits"],
            "{sql}"
        );
    }
    for sql in [
        "DROP TABLE outbox;",
        "ALTER TABLE outbox RENAME TO gone;",
        "ALTER TABLE outbox DROP COLUMN bytes;",
    ] {
        let mut migrations = lawful();
        migrations.steps.push(("003_bad.sql".to_owned(), sql.to_owned()));
        let found = migrations.losses().unwrap();
        assert!(
            found.contains(&"003_bad.sql takes away outbox.bytes".to_owned()),
            "{sql}: {found:?}"
        );
    }
}
