//! A shop with one WhatsApp line and known customers, for the measurements: the product on a store, and its deliveries as the
//! provider sends them.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement is a program")]
#![allow(dead_code, reason = "each measurement uses its part")]

pub mod fill;
pub mod history;
pub mod taken;

use serde_json::json;
use serde_json::value::RawValue;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use ventros::channels::channel::commands::CreateChannel;
use ventros::channels::channel::queries::ListChannels;
use ventros::conversations::inbound::{Ingest, Outcome, RawBody};
use ventros::engine::{Crm, Project, Settings, Step};
use ventros::kernel::ChannelId;
use ventros::storage::Storage;
use ventros::system::{SystemClock, SystemIds};
use ventros::tenancy::project::Slug;
use ventros::tenancy::project::commands::CreateProject;
use ventros::tenancy::project::queries::FindProject;
use ventros::testing::block_on;

/// A number from the environment, for sizes.
pub fn size(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |text| text.replace('_', "").parse().unwrap())
}

/// A fresh folder, on the disk that is to be measured: `VENTROS_BENCH_DIR`, else the system's place for temporary files.
pub fn directory(name: &str) -> PathBuf {
    let place = std::env::var_os("VENTROS_BENCH_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    let directory = place.join(format!("ventros-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    directory
}

/// Processor time of this process, user and system.
pub fn cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |place: usize| fields.get(place).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
    Duration::from_millis((ticks(11) + ticks(12)) * 10)
}

/// What a line of a status file of this process says, in KiB: `VmRSS`, `VmHWM`.
pub fn resident(what: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(what)?.strip_prefix(':'));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// As in the packages for other languages: small pieces that many threads take and give back are its field.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

pub struct Shop {
    pub crm: Crm,
    pub project: Project,
    pub channel: ChannelId,
}

impl Shop {
    /// The shop of a store, which is founded when there is none.
    pub fn open(storage: Arc<dyn Storage>) -> Shop {
        let crm = block_on(Crm::open(Settings::new(storage, Arc::new(SystemClock), SystemIds::shared())));
        let crm = crm.unwrap();
        let known = block_on(crm.query(FindProject { slug: Slug::parse("acme").unwrap() })).unwrap();
        let id = known.map_or_else(
            || {
                let acme = json!({"name": "Acme", "default_region": "BR"});
                block_on(crm.execute(serde_json::from_value::<CreateProject>(acme).unwrap())).unwrap().id
            },
            |known| known.id,
        );
        let project = crm.project(id);
        let known = block_on(project.query(ListChannels::default())).unwrap().items.pop();
        let channel = known.map_or_else(
            || {
                let line = json!({"name": "WhatsApp", "type": "waha"});
                block_on(project.execute(serde_json::from_value::<CreateChannel>(line).unwrap())).unwrap().channel.id
            },
            |known| known.id,
        );
        Shop { crm, project, channel }
    }

    /// One delivery as one call.
    pub fn ingest(&self, delivery: String) {
        let raw = Some(RawBody(delivery));
        let ingest =
            Ingest { channel_id: self.channel, raw, item: None, headers: Default::default(), received_at: None };
        let outcomes = block_on(self.project.execute(ingest)).unwrap();
        assert!(matches!(outcomes.last(), Some(Outcome::Recorded { .. })), "{outcomes:?}");
    }

    /// Several deliveries as one unit of work.
    pub fn ingest_together(&self, deliveries: &[String]) {
        let step = |delivery: &String| {
            let input = format!(r#"{{"channel_id":"{}","raw":{delivery}}}"#, self.channel);
            Step { operation: "inbound.ingest".to_owned(), input: RawValue::from_string(input).unwrap() }
        };
        let steps: Vec<Step> = deliveries.iter().map(step).collect();
        block_on(self.crm.transact(self.project.context(), &steps)).unwrap();
    }
}

/// The telephone number of a customer, as WhatsApp writes it.
pub fn phone(customer: usize) -> String {
    format!("55119{:08}", 90_000_000 + customer)
}

/// Who writes a message: anybody of so many, in no order.
pub fn customer(number: usize, of: usize) -> usize {
    (number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 33) % of
}

/// A text message as the gateway delivers it.
pub fn delivery(customer: usize, number: usize) -> String {
    let (phone, now) = (phone(customer), std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap());
    let text = format!("Message {number}: could you send me the price list for next Saturday, please?");
    let delivery = json!({
        "id": format!("evt_{number:026}"),
        "timestamp": now.as_millis() as u64,
        "event": "message.any",
        "session": "default",
        "me": {"id": "5511970000000@c.us", "pushName": "Acme", "lid": "100000000000100@lid"},
        "payload": {
            "id": format!("false_{phone}@c.us_3EB0{number:016X}"),
            "timestamp": now.as_secs(),
            "from": format!("{phone}@c.us"),
            "fromMe": false,
            "source": "app",
            "hasMedia": false,
            "body": text,
            "ack": 2,
            "ackName": "DEVICE",
            "_data": {
                "Info": {
                    "Chat": format!("{phone}@s.whatsapp.net"),
                    "Sender": format!("{phone}@s.whatsapp.net"),
                    "IsFromMe": false,
                    "IsGroup": false,
                    "SenderAlt": format!("2{customer:014}@lid"),
                    "ID": format!("3EB0{number:016X}"),
                    "Type": "text",
                    "PushName": format!("Customer {customer}"),
                    "Timestamp": "2025-03-10T09:00:35-03:00"
                },
                "Message": {"conversation": text}
            }
        },
        "environment": {"version": "2025.9.8", "engine": "GOWS", "tier": "PLUS"}
    });
    delivery.to_string()
}
