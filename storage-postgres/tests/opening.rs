//! What an opening looks at before anything is written: the role, whatever stands between it and the server, and the certificate.

#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod cluster;
mod pooler;

use pooler::Lends;
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use std::path::PathBuf;
use std::sync::OnceLock;
use ventros::kernel::{Error, ErrorCode, Kind};
use ventros::storage::testing::*;
use ventros::storage::{Filter, RowSecurityState, Scope, SnapshotRepository, Storage, StoreSecurity};
use ventros::testing::block_on;
use ventros_postgres::PostgresStorage;

/// What no error may repeat.
const PASSWORD: &str = "geheim";

/// A server with a certificate for `localhost`, which nobody reaches over a network without encryption.
struct Server {
    folder: PathBuf,
    port: u16,
    /// Files with the root that signed its certificate, and with another one of the same name.
    root: PathBuf,
    other_root: PathBuf,
}

fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| {
        let authority = || {
            let mut params = CertificateParams::new(Vec::new()).unwrap();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            let key = KeyPair::generate().unwrap();
            (params.self_signed(&key).unwrap(), key)
        };
        let ((root, root_key), (other_root, _)) = (authority(), authority());
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &root, &root_key).unwrap();
        let files = [
            ("server.crt", certificate.pem()),
            ("server.key", key.serialize_pem()),
            ("pg_hba.conf", "local all all trust\nhostssl all all 127.0.0.1/32 trust\n".to_owned()),
            ("root.crt", root.pem()),
            ("other.crt", other_root.pem()),
        ];
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        // The socket has the usual name all the same.
        let settings = format!("-c listen_addresses=127.0.0.1 -c port={port} -c ssl=on -c fsync=off");
        let folder = cluster::own("opening", &files, &settings);
        let socket = folder.join(format!(".s.PGSQL.{port}"));
        std::os::unix::fs::symlink(socket, folder.join(".s.PGSQL.5432")).unwrap();
        let copy = |name: &str, text: String| {
            let path = folder.join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let (root, other_root) = (copy("root.pem", root.pem()), copy("other.pem", other_root.pem()));
        Server { folder, port, root, other_root }
    })
}

/// Opens, writes and reads.
fn use_it(address: &str) -> Result<(), Error> {
    let store = block_on(PostgresStorage::open(address))?;
    block_on(store.prepare(&[TABLE]))?;
    block_on(fill(&store, PROJECT, &[Sample::named("Ana")]));
    let everything = Filter::everything();
    let everybody = block_on(store.count(Scope::Project(PROJECT), Kind::Contact, &everything, false))?;
    assert_eq!(everybody, 1);
    Ok(())
}

/// What an opening finds of the row security.
fn look(address: &str) -> StoreSecurity {
    block_on(async { PostgresStorage::open(address).await?.security().await }).unwrap()
}

#[track_caller]
fn refused(address: &str, reason: &str, word: &str) {
    let error = use_it(address).unwrap_err();
    let said = format!("{error:?}");
    assert_eq!(
        (error.code(), error.details().get("reason").and_then(|v| v.as_str())),
        (ErrorCode::Unavailable, Some(reason)),
        "{said}"
    );
    assert!(said.contains(word) && !said.contains(PASSWORD), "{said}");
}

/// Case 6 of the security page.
#[test]
fn a_role_above_row_security_is_told() {
    let address = cluster::address_in(&server().folder);
    let as_superuser = address.replace("ventros_app@", "postgres@");
    use_it(&format!("{address}?schema=roles&row_security=required")).unwrap();
    let error = use_it(&format!("{as_superuser}?schema=roles&row_security=required")).unwrap_err();
    assert_eq!((error.code(), error.details()["role"].as_str()), (ErrorCode::RlsNotEffective, Some("postgres")));
    for accepted in ["warn", "unchecked"] {
        use_it(&format!("{as_superuser}?schema=super_{accepted}&row_security={accepted}")).unwrap();
    }
    let found = look(&format!("{as_superuser}?schema=super_warn&row_security=unchecked"));
    assert_eq!((found.role.as_deref(), found.row_security), (Some("postgres"), RowSecurityState::RoleExempt));
    let found = look(&format!("{address}?schema=roles"));
    assert_eq!((found.role.as_deref(), found.row_security), (Some("ventros_app"), RowSecurityState::Effective));
    let as_another = format!("{as_superuser}?schema=as_another&row_security=required&options=-c%20role%3Dventros_app");
    use_it(&as_another).unwrap();
    let strange = use_it(&format!("{address}?row_security=off")).unwrap_err();
    assert_eq!((strange.code(), strange.field()), (ErrorCode::InputInvalid, Some("location")));
}

#[test]
fn a_table_without_row_security_is_told() {
    let address = format!("{}?schema=opened&row_security=required", cluster::address_in(&server().folder));
    use_it(&address).unwrap();
    let plain = cluster::address_in(&server().folder);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (client, driver) = tokio_postgres::connect(&plain, tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(driver);
        client.batch_execute("ALTER TABLE opened.contacts NO FORCE ROW LEVEL SECURITY").await.unwrap();
    });
    let error = use_it(&address).unwrap_err();
    assert_eq!(error.code(), ErrorCode::RlsNotEffective);
    assert!(error.text().contains("contacts"), "{error:?}");
    let found = look(&address.replace("required", "warn"));
    assert_eq!((found.row_security, found.open_tables), (RowSecurityState::NotForced, vec!["contacts".to_owned()]));
}

#[test]
fn a_pooler_may_pool_sessions_and_nothing_less() {
    let address = |lends| {
        let pooler = pooler::start(&server().folder, lends);
        format!("postgresql://ventros_app:{PASSWORD}@{pooler}/postgres?schema=pooled")
    };
    refused(&address(Lends::Transactions), "pooled", "pool_mode");
    use_it(&address(Lends::Sessions)).unwrap();
}

#[test]
fn certificates_are_checked() {
    let Server { port, root, other_root, .. } = server();
    let address = |host: &str, parameters: &str| {
        format!("postgresql://ventros_app:{PASSWORD}@{host}:{port}/postgres?schema=tls&{parameters}")
    };
    let roots = format!("sslrootcert={}", root.display());
    // Each of them is encrypted: the server takes nothing else.
    for mode in ["sslmode=verify-full", "sslmode=verify-ca", "sslmode=require", "sslmode=prefer", "connections=3"] {
        let schema = mode.replace(['=', '-'], "_");
        let address =
            address("localhost", &format!("{mode}&{roots}")).replace("schema=tls", &format!("schema={schema}"));
        use_it(&address).unwrap_or_else(|error| panic!("{mode}: {error:?}"));
    }
    let others = format!("sslmode=verify-full&sslrootcert={}", other_root.display());
    refused(&address("localhost", &others), "refused", "certificate");
    // The roots of the system do not know it either, and nothing is a reason not to ask them.
    refused(&address("localhost", "sslmode=require"), "refused", "certificate");
    refused(&address("localhost", "application_name=a"), "refused", "certificate");
    // The certificate is for another name.
    refused(&address("127.0.0.1", &format!("sslmode=verify-full&{roots}")), "refused", "certificate");
    refused(&address("localhost", "sslmode=disable"), "refused", "pg_hba.conf");
    let missing = use_it(&address("localhost", "sslrootcert=/nowhere/root.pem")).unwrap_err();
    assert_eq!(missing.code(), ErrorCode::Unavailable);
    assert!(missing.text().contains("root certificates") && !format!("{missing:?}").contains(PASSWORD), "{missing:?}");
}
