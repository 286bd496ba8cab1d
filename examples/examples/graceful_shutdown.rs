//! A service that is shut down in the middle of its work, and loses nothing.
//!
//! ```text
//! cargo run -p async-with-examples --example graceful_shutdown
//! cargo run -p async-with-examples --example graceful_shutdown -- --without
//! ```
//!
//! Clients send orders to pay over TCP. For each, the service writes into an audit log, opens a connection to the books
//! and begins a transaction, and asks the client to confirm. Some clients hang up when they are asked, some never
//! answer; and when it is shut down, the service cuts off those who are still there. In all of these cases the
//! transaction has to be rolled back, the connection closed, and the end noted: [`transfer`] does that with one block,
//! and `main` with one line, [`drain`]. The program ends by checking in the databases that it is so, and fails if it is
//! not.
//!
//! With `--without`, the same clients meet [`transfer_by_hand`], which has its clean-up at its end, after the `?`s. What
//! is lost then is counted and printed, and the program fails. The money is safe even so, because this database rolls back when a connection
//! is dropped; one on another machine does that when it notices, and keeps its locks until then.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::time::Duration;

use async_with::{
    AsyncContextManager, Cancelled, Cause, async_context_manager, async_with, cancellable, drain,
    move_on_when_cancelled, pending_exits, report, timeout,
};
use async_with_examples::ledger::{self, Order};
use async_with_examples::service::{AGES, Request, Service};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::tcp::OwnedWriteHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

type Result<T, E = Box<dyn Error + Send + Sync>> = std::result::Result<T, E>;

// On one thread, what is printed is always the same. Nothing is lost on several either.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode> {
    let style = match std::env::args().nth(1).as_deref() {
        None => Style::Block,
        Some("--without") => Style::ByHand,
        Some(other) => return Err(format!("there is no option `{other}`").into()),
    };
    // The error of an exit goes here when it cannot be raised. There is to be none.
    let (reporter, reports) = std::sync::mpsc::channel();
    report::set_sink(move |entry| {
        eprintln!("{entry}");
        let _ = reporter.send(());
    });

    let directory = tempfile::tempdir()?;
    let service = Service::open(directory.path()).await?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let shutdown = CancellationToken::new();
    tokio::spawn(shut_down_on_ctrl_c(shutdown.clone()));
    let address = listener.local_addr()?;
    let clients = tokio::spawn(rush_hour(address, service.clone(), shutdown.clone()));

    let Err(stopped) = serve(listener, service.clone(), style, shutdown).await;

    // The one line: the exits of transfers that were dropped go on by themselves, and this waits until the last of them
    // is done. Without it, `main` would return, and the runtime would take the rest of them down with it.
    drain().await;
    let owed = pending_exits().len();

    println!("The service has stopped: {stopped}");
    print("The clients", clients.await?);
    print("The transfers", service.transfers().await?);
    let mut faults = service.inspect().await?;
    let errors = reports.try_iter().count();
    faults.push(("exits still owed", i64::try_from(owed)?));
    faults.push(("errors nobody was told of", i64::try_from(errors)?));
    let lost = !stopped.is::<Cancelled>() || faults.iter().any(|(_, count)| *count != 0);
    print("What must not be", faults);
    println!("{} is lost.", if lost { "Something" } else { "Nothing" });
    Ok(if lost {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

fn print(heading: &str, counts: impl IntoIterator<Item = (&'static str, i64)>) {
    println!("{heading}");
    for (what, count) in counts {
        println!("   {what}: {count}");
    }
}

/// How the service cleans up.
#[derive(Clone, Copy)]
enum Style {
    Block,
    ByHand,
}

async fn shut_down_on_ctrl_c(shutdown: CancellationToken) {
    if tokio::signal::ctrl_c().await.is_ok() {
        shutdown.cancel();
    }
}

// --- The service --------------------------------------------------------------------------------------------------

/// Moves money from one account to another, if the client confirms.
async fn transfer(service: &Service, request: Request, client: &mut Client) -> Result<()> {
    let Request { order, patience } = request;
    async_with! {
        timeout(AGES) as deadline,
        service.audit(&order),
        service.connection() as connection,
        service.transaction(connection) as books => {
            ledger::withdraw(books, &order).await?;

            // At this point the money is nowhere, and everybody waits for the books. It must not stay so.
            deadline.reschedule(Some(Instant::now() + patience));
            client.confirm().await?;

            ledger::deposit(books, &order).await?;
        }
    }
    Ok(())
}

/// The same, as it is often written. It cleans up only when nothing went wrong.
async fn transfer_by_hand(service: &Service, request: Request, client: &mut Client) -> Result<()> {
    let Request { order, patience } = request;
    let entry = service.note(&order).await?;
    let mut books = service.connect().await?;
    service.begin(&mut books).await?;

    ledger::withdraw(&mut books, &order).await?;
    tokio::time::timeout(patience, client.confirm()).await??;
    ledger::deposit(&mut books, &order).await?;

    service.commit(&mut books).await?;
    service.close(books).await?;
    service.conclude(entry, "completed").await?;
    Ok(())
}

/// Attends to clients until the token is cancelled: ends with [`Cancelled`], if with nothing worse.
async fn serve(
    listener: TcpListener,
    service: Service,
    style: Style,
    shutdown: CancellationToken,
) -> Result<Infallible> {
    async_with! { CutOff as clients, cancellable(shutdown) => {
        loop {
            let (socket, _) = listener.accept().await?;
            clients.spawn(attend(socket, service.clone(), style));
            while clients.try_join_next().is_some() {}
        }
    }}
}

/// Tasks, one for each client. On exit, those that still run are aborted, in the middle of whatever they do.
struct CutOff;

#[async_context_manager]
impl AsyncContextManager for CutOff {
    async fn enter(&mut self) -> Result<JoinSet<Result<()>>, Infallible> {
        Ok(JoinSet::new())
    }

    async fn exit(self, mut clients: JoinSet<Result<()>>, _: Cause) -> Result<(), Infallible> {
        // It also waits until they are gone: a task that is running on another thread may yet enter a block.
        clients.shutdown().await;
        Ok(())
    }
}

/// Attends to one client, until it has its answer or hangs up.
async fn attend(socket: TcpStream, service: Service, style: Style) -> Result<()> {
    let (reader, writer) = socket.into_split();
    let mut lines = BufReader::new(reader).lines();
    let Some(line) = lines.next_line().await? else {
        return Ok(());
    };

    let (said, answers) = mpsc::channel(1);
    let mut client = Client { writer, answers };
    let listening = async {
        while let Ok(Some(line)) = lines.next_line().await {
            let _ = said.send(line).await;
        }
    };
    let transfer = async {
        let request = line.parse()?;
        match style {
            Style::Block => transfer(&service, request, &mut client).await,
            Style::ByHand => transfer_by_hand(&service, request, &mut client).await,
        }
    };
    let result = tokio::select! {
        result = transfer => result,
        // The client has hung up. The transfer is dropped, wherever it is.
        () = listening => return Ok(()),
    };
    match result {
        Ok(()) => client.tell(BOOKED).await?,
        Err(error) => client.tell(&format!("refused: {error}")).await?,
    }
    Ok(())
}

const CONFIRM: &str = "confirm?";
const YES: &str = "yes";
const BOOKED: &str = "booked";

/// A client, as the service sees it.
struct Client {
    writer: OwnedWriteHalf,
    answers: mpsc::Receiver<String>,
}

impl Client {
    async fn tell(&mut self, line: &str) -> std::io::Result<()> {
        let line = format!("{line}\n");
        self.writer.write_all(line.as_bytes()).await
    }

    async fn confirm(&mut self) -> Result<()> {
        self.tell(CONFIRM).await?;
        match self.answers.recv().await.as_deref() {
            Some(YES) => Ok(()),
            _ => Err("not confirmed".into()),
        }
    }
}

// --- The clients --------------------------------------------------------------------------------------------------

/// What a client does when it is asked to confirm.
#[derive(Clone, Copy)]
enum Manner {
    Confirms,
    HangsUp,
    KeepsSilent,
}

/// Calls the service, and returns what became of it.
async fn call(address: SocketAddr, request: Request, manner: Manner) -> Result<&'static str> {
    let mut socket = BufReader::new(TcpStream::connect(address).await?);
    socket.write_all(format!("{request}\n").as_bytes()).await?;
    let mut lines = socket.lines();
    while let Some(line) = lines.next_line().await? {
        match (line.as_str(), manner) {
            (CONFIRM, Manner::Confirms) => {
                let answer = format!("{YES}\n");
                lines.get_mut().write_all(answer.as_bytes()).await?;
            }
            (CONFIRM, Manner::HangsUp) => return Ok("hung up"),
            (CONFIRM, Manner::KeepsSilent) => {}
            (BOOKED, _) => return Ok("booked"),
            _ => return Ok("refused"),
        }
    }
    Ok("cut off")
}

/// Clients that call at the same time.
struct Crowd {
    address: SocketAddr,
    called: i64,
    calls: JoinSet<Result<&'static str>>,
    fates: BTreeMap<&'static str, i64>,
}

impl Crowd {
    fn call(&mut self, amount: i64, patience: Duration, manner: Manner) {
        self.called += 1;
        let [from, to] = if self.called % 2 == 0 {
            ["ann", "bob"]
        } else {
            ["eve", "lea"]
        };
        let order = Order {
            number: self.called,
            payer: from,
            payee: to,
            amount,
        };
        let request = Request { order, patience };
        self.calls.spawn(call(self.address, request, manner));
    }

    /// Waits until all calls have ended.
    async fn ended(&mut self) {
        while let Some(Ok(fate)) = self.calls.join_next().await {
            let fate = fate.unwrap_or("cut off");
            *self.fates.entry(fate).or_default() += 1;
        }
    }
}

/// Shuts the service down while clients call, and returns what became of them.
///
/// Each thing happens when the one before has happened, not after a time: it comes to the same on every machine.
async fn rush_hour(
    address: SocketAddr,
    service: Service,
    shutdown: CancellationToken,
) -> BTreeMap<&'static str, i64> {
    let mut crowd = Crowd {
        address,
        called: 0,
        calls: JoinSet::new(),
        fates: BTreeMap::new(),
    };
    async_with! { move_on_when_cancelled(shutdown.clone()) => {
        for _ in 0..4 {
            crowd.call(10, AGES, Manner::Confirms);
            crowd.call(20, AGES, Manner::Confirms);
            crowd.call(30, AGES, Manner::Confirms);
            crowd.call(1_000_000, AGES, Manner::Confirms);
            crowd.call(40, AGES, Manner::HangsUp);
        }
        crowd.call(50, Duration::from_millis(20), Manner::KeepsSilent);
        crowd.call(60, Duration::from_millis(20), Manner::KeepsSilent);
        crowd.ended().await;

        // Then one client gets hold of the books and does not let go, and four wait for that.
        let before = service.counts();
        crowd.call(70, AGES, Manner::KeepsSilent);
        service.until(|now| now.transactions.opened > before.transactions.opened).await;
        for _ in 0..4 {
            crowd.call(80, AGES, Manner::Confirms);
        }
        service.until(|now| now.connections.opened == before.connections.opened + 5).await;
    }}
    // Unless somebody has pressed Ctrl-C already.
    shutdown.cancel();
    crowd.ended().await;
    crowd.fates
}

#[cfg(test)]
mod tests {
    use async_with::testing::assert_conforms;

    #[tokio::test]
    async fn the_manager_of_tasks_conforms() {
        assert_conforms(|| super::CutOff).await;
    }
}
