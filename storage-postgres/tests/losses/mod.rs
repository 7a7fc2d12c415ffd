//! Several processes do everything that the product does, on one server; again and again one of them is killed, or the server.
//! `VENTROS_KILLS` sets how often (50).

use crate::children::spawn;
use crate::cluster;
use crate::shop::Shop;
use crate::story::verdict::Witness;
use crate::story::{Chance, victim};
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::PathBuf;
use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};
use ventros::kernel::ProjectId;
use ventros::testing::{ManualClock, block_on};

/// They live at the same time, each with several threads.
const PROCESSES: usize = 3;
/// Losses in one place; then a fresh one, so that what is checked after each stays small.
const LOSSES_PER_PLACE: usize = 17;
/// Of so many losses one is the server's.
const SERVER_EVERY: usize = 3;
/// Whoever hears nothing for so long waits in vain.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server of its own that keeps what it has written.
struct Server(PathBuf);

impl Server {
    fn start() -> Self {
        let folder = std::env::temp_dir().join(format!("ventros-pg-losses-{}", std::process::id()));
        cluster::start_in(&folder);
        cluster::stop(&folder);
        cluster::start(&folder, "on");
        Server(folder)
    }

    fn place(&self, number: usize) -> String {
        format!("{}?schema=losses_{number}", cluster::address_in(&self.0))
    }

    /// Ends it at once, either by its own means or as the system does; and starts it again.
    fn lose(&self, by_the_system: bool) {
        if by_the_system {
            cluster::kill(&self.0);
        } else {
            cluster::stop(&self.0);
        }
        cluster::start(&self.0, "on");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        cluster::stop(&self.0);
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

/// The processes of one place, and what they say.
struct Crew {
    place: String,
    epoch: SystemTime,
    address: String,
    members: Vec<(Child, JoinHandle<()>)>,
    lines: (Sender<String>, Receiver<String>),
    witness: Witness,
}

impl Crew {
    /// A process in this slot, whose `number` nobody else has.
    fn start(&self, slot: usize, number: usize) -> (Child, JoinHandle<()>) {
        let mut child = spawn(&victim::told(&self.place, number, slot, self.epoch, &self.address));
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let sender = self.lines.0.clone();
        let ears = std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                sender.send(line).unwrap();
            }
        });
        (child, ears)
    }

    /// Listens until so many acknowledgements were heard.
    fn hear(&mut self, acknowledgements: usize) {
        let mut heard = 0;
        while heard < acknowledgements {
            let line = self.lines.1.recv_timeout(PATIENCE).expect("the processes get on");
            heard += usize::from(self.witness.hear(&line));
        }
        for (child, _) in &mut self.members {
            assert_eq!(child.try_wait().unwrap(), None, "a process stopped by itself");
        }
    }

    fn kill(&mut self, slot: usize) {
        let (child, _) = &mut self.members[slot];
        child.kill().unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(9), "the process stopped by itself");
    }

    /// Holds the processes but the one that was killed, so that nothing is written any more, or lets them go on. Leases run out
    /// meanwhile.
    fn signal(&self, name: &str, killed: Option<usize>) {
        let alive = self.members.iter().enumerate().filter(|(slot, _)| Some(*slot) != killed);
        let numbers = alive.map(|(_, (child, _))| child.id().to_string());
        assert!(Command::new("kill").arg(name).args(numbers).status().unwrap().success());
    }

    /// What must hold after each loss.
    fn check(&mut self, shop: &Shop) {
        for line in self.lines.1.try_iter() {
            self.witness.hear(&line);
        }
        loop {
            // Commits may have been on their way when their processes were held, and take their time.
            let before = heads(shop);
            std::thread::sleep(Duration::from_millis(30));
            if heads(shop) != before {
                continue;
            }
            let checked = catch_unwind(AssertUnwindSafe(|| self.witness.after_a_kill(shop)));
            if heads(shop) == before {
                return checked.unwrap_or_else(|failure| resume_unwind(failure));
            }
        }
    }

    fn end(mut self) {
        for slot in 0..self.members.len() {
            self.kill(slot);
        }
        let Crew { members, lines, mut witness, place, address, epoch } = self;
        members.into_iter().for_each(|(_, ears)| ears.join().unwrap());
        for line in lines.1.try_iter() {
            witness.hear(&line);
        }
        witness.in_the_end(&place, &address, epoch);
    }
}

fn heads(shop: &Shop) -> Vec<(ProjectId, u64)> {
    block_on(shop.crm.core().storage().heads()).unwrap()
}

pub fn lose_again_and_again() {
    let wanted: usize = std::env::var("VENTROS_KILLS").map_or(50, |kills| kills.parse().unwrap());
    let start = Instant::now();
    let server = Server::start();
    let mut chance = Chance(0x2545_F491_4F6C_DD1D);
    let (mut started, mut lost, mut servers) = (0, 0, 0);
    while lost < wanted {
        let (place, epoch) = (server.place(lost), SystemTime::now());
        let shop = Shop::found(&place, ManualClock::at(victim::START), 1);
        victim::hurry(&shop);
        let (address, witness) = (shop.address(), Witness::default());
        let mut crew = Crew { place, epoch, address, members: Vec::new(), lines: channel(), witness };
        for slot in 0..PROCESSES {
            started += 1;
            crew.members.push(crew.start(slot, started));
        }
        let until = (lost + LOSSES_PER_PLACE).min(wanted);
        while lost < until {
            crew.hear(1 + chance.below(30));
            std::thread::sleep(Duration::from_micros(chance.below(4_000) as u64));
            let is_server = chance.below(SERVER_EVERY) == 0;
            let killed = (!is_server).then(|| chance.below(PROCESSES));
            match killed {
                Some(slot) => crew.kill(slot),
                None => {
                    server.lose(chance.below(2) == 0);
                    servers += 1;
                }
            }
            lost += 1;
            crew.signal("-STOP", killed);
            crew.check(&shop);
            crew.signal("-CONT", killed);
            if let Some(slot) = killed {
                started += 1;
                crew.members[slot] = crew.start(slot, started);
            }
        }
        drop(shop);
        crew.end();
    }
    eprintln!("{} processes and {servers} times the server were killed in {:?}", lost - servers, start.elapsed());
}
