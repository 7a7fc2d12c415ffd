//! A private PostgreSQL for one test program: made when the first test asks for it, gone when the program ends. Or the server of
//! `VENTROS_TEST_POSTGRES`, an address, where every store is a schema of its own.

#![allow(dead_code, reason = "every test program uses its part")]

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The role of the stores: no superuser, so that row security holds it.
const ROLE: &str = "ventros_app";

/// Names an address of a server to use instead.
const GIVEN: &str = "VENTROS_TEST_POSTGRES";

static CLUSTER: OnceLock<Cluster> = OnceLock::new();
static NEXT: AtomicU64 = AtomicU64::new(0);

struct Cluster {
    address: String,
}

/// The address of a store that nobody else has. On a server that is not ours it is removed when the test ends.
pub fn fresh() -> String {
    let name = format!("t{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    MADE.with_borrow_mut(|made| made.0.push(name.clone()));
    schema(&name)
}

thread_local! {
    static MADE: RefCell<Made> = const { RefCell::new(Made(Vec::new())) };
}

/// The schemas that the test of this thread has made.
struct Made(Vec<String>);

impl Drop for Made {
    fn drop(&mut self) {
        let Ok(address) = std::env::var(GIVEN) else { return };
        let script: String = self.0.iter().map(|name| format!("DROP SCHEMA IF EXISTS {name} CASCADE;")).collect();
        // A thread that ends cannot drive anything itself.
        let cleaning = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts");
            runtime.block_on(async {
                let connecting = tokio_postgres::connect(&address, tokio_postgres::NoTls).await;
                let (client, driver) = connecting.expect("the given server answers");
                tokio::spawn(driver);
                client.batch_execute(&script).await.expect("what a test made can be removed");
            });
        });
        cleaning.join().expect("the schemas of the test are removed");
    }
}

/// The address of the store in a schema of this name.
pub fn schema(name: &str) -> String {
    let address = &CLUSTER.get_or_init(Cluster::start).address;
    let mark = if address.contains('?') { '&' } else { '?' };
    format!("{address}{mark}schema={name}")
}

/// What the server of this program has logged; nobody knows what a server that is not ours has.
pub fn log() -> Option<String> {
    let is_ours = std::env::var_os(GIVEN).is_none();
    is_ours.then(|| std::fs::read_to_string(folder().join("log")).expect("the server has a log"))
}

/// Where the cluster of this program is.
fn folder() -> PathBuf {
    std::env::temp_dir().join(format!("ventros-pg-{}", std::process::id()))
}

impl Cluster {
    fn start() -> Cluster {
        if let Ok(address) = std::env::var(GIVEN) {
            return Cluster { address };
        }
        let folder = folder();
        start_in(&folder);
        end_with_program(folder.clone());
        Cluster { address: address_in(&folder) }
    }
}

/// The address of the cluster in a folder.
pub fn address_in(folder: &Path) -> String {
    let socket = folder.display().to_string().replace('/', "%2F");
    format!("postgresql://{ROLE}@{socket}/postgres")
}

/// Makes a cluster that listens in this folder alone, and starts it.
pub fn start_in(folder: &Path) {
    std::fs::create_dir_all(folder).expect("a temporary folder can be made");
    if is_root() {
        expect(Command::new("chown").arg("postgres").arg(folder));
    }
    let data = folder.join("data");
    let encoding = ["-A", "trust", "-E", "UTF8", "--locale=C", "-U", "postgres", "--no-sync", "-D"];
    expect(tool("initdb", folder).args(encoding).arg(&data));
    start(folder, "off");
    let role = format!("CREATE ROLE {ROLE} LOGIN; GRANT CREATE ON DATABASE postgres TO {ROLE}");
    expect(tool("psql", folder).args(["-q", "-h"]).arg(folder).args(["-U", "postgres", "-c", &role, "postgres"]));
}

/// Kills its first process, as the system does when memory runs out. What that one has started ends by itself, soon.
pub fn kill(folder: &Path) {
    let told = std::fs::read_to_string(folder.join("data/postmaster.pid")).expect("it runs");
    expect(Command::new("kill").arg("-9").arg(told.lines().next().unwrap_or_default()));
}

/// Starts the cluster in a folder, as soon as nothing is left of the one before. Without `fsync` it forgets everything in a loss of
/// power, and only then.
pub fn start(folder: &Path, fsync: &str) {
    start_with(folder, &format!("-c listen_addresses= -c fsync={fsync} -c shared_buffers=64MB"));
}

/// As [`start`], with settings of its own.
pub fn start_with(folder: &Path, settings: &str) {
    let sockets = format!("-c unix_socket_directories={} -c max_connections=300", folder.display());
    let mut settings = format!("{sockets} {settings}");
    if version(folder) >= 14 {
        // After a crash the whole folder is synchronised: at once, and not file by file, which takes seconds.
        settings.push_str(" -c recovery_init_sync_method=syncfs");
    }
    let log = folder.join("log");
    let data = folder.join("data");
    let mut start = tool("pg_ctl", folder);
    start.args(["start", "-w", "-D"]).arg(data).arg("-l").arg(&log).arg("-o").arg(settings).stdin(Stdio::null());
    let until = Instant::now() + Duration::from_secs(30);
    while Instant::now() < until {
        if start.output().expect("pg_ctl runs").status.success() {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("{start:?}\n{}", std::fs::read_to_string(log).unwrap_or_default());
}

/// A cluster of its own for this program, with files beside its data that it may read, and settings.
pub fn own(name: &str, files: &[(&str, String)], settings: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("ventros-pg-{name}-{}", std::process::id()));
    start_in(&folder);
    stop(&folder);
    for (name, text) in files {
        let path = folder.join("data").join(name);
        std::fs::write(&path, text).expect("the folder of the cluster can be written");
        expect(Command::new("chmod").arg("600").arg(&path));
        if is_root() {
            expect(Command::new("chown").arg("postgres").arg(&path));
        }
    }
    start_with(&folder, settings);
    end_with_program(folder.clone());
    folder
}

/// Stops it as a loss of the process would.
pub fn stop(folder: &Path) {
    let data = folder.join("data");
    expect(tool("pg_ctl", folder).args(["stop", "-w", "-m", "immediate", "-D"]).arg(data));
}

/// A program of PostgreSQL, run by a user that it accepts, which is any but root.
fn tool(name: &str, folder: &Path) -> Command {
    let program = binaries().join(name);
    let mut command = match is_root() {
        false => Command::new(program),
        true => {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--"]).arg(program);
            command
        }
    };
    command.current_dir(folder).env("LC_ALL", "C");
    command
}

/// Where PostgreSQL's programs are: the newest of the system's own.
fn binaries() -> PathBuf {
    let named = std::env::var_os("VENTROS_POSTGRES_BIN").map(PathBuf::from);
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = versions
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse::<u32>().ok()?, entry.path().join("bin"))))
        .filter(|(_, folder)| folder.join("initdb").exists())
        .max();
    named.or(newest.map(|(_, folder)| folder)).unwrap_or_else(|| {
        panic!(
            "these tests need a PostgreSQL server: install the package postgresql, or set VENTROS_POSTGRES_BIN to the folder of \
             its programs, or VENTROS_TEST_POSTGRES to the address of a running one"
        )
    })
}

fn version(folder: &Path) -> u32 {
    let text = std::fs::read_to_string(folder.join("data/PG_VERSION")).expect("a cluster says its version");
    text.trim().parse().expect("a version is a number")
}

fn is_root() -> bool {
    let status = Command::new("id").arg("-u").output().expect("the program `id` runs");
    status.stdout.starts_with(b"0\n")
}

#[track_caller]
fn expect(command: &mut Command) {
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}\n{out}{err}");
}

/// Stops the cluster and removes its folder when this program ends, however it ends: a shell waits for the end of its input.
pub fn end_with_program(folder: PathBuf) {
    let pg_ctl = binaries().join("pg_ctl");
    let user = if is_root() { "runuser -u postgres -- " } else { "" };
    let script = format!(
        "cd /; trap '' INT TERM HUP; read line; {user}{} stop -m immediate -D {data} >/dev/null 2>&1; rm -rf {folder}",
        pg_ctl.display(),
        data = folder.join("data").display(),
        folder = folder.display()
    );
    let mut watch = Command::new("sh");
    watch.args(["-c", &script]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let child = watch.spawn().expect("a shell starts");
    // Its input stays open as long as this program runs.
    std::mem::forget(child);
}
