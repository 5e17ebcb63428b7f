//! What can be seen of the brokers without joining a group or writing anything.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, ConfigResource, ResourceSpecifier};
use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError as LibraryError, RDKafkaErrorCode as Code};
use rdkafka::metadata::{Metadata, MetadataTopic};
use rdkafka::topic_partition_list::{Offset as LibraryOffset, TopicPartitionList};

use super::group::set_properties;
use super::{Properties, range, trouble};
use crate::check::Finding;
use crate::config::{Connector, Secret, Topics, is_secret};

/// Names of topics that are listed.
const LISTED: usize = 5;
/// Of how many topics the limits are asked for.
const MOST_TOPICS: usize = 100;
/// How long all brokers must have been away before they are given up: the first to be tried may be
/// the only one that is down.
const PATIENCE: Duration = Duration::from_secs(2);
const NOT_LOOKED_AT: &str = "not looked at, because of what has failed";

/// Looks at the brokers, the topics, the group and the dead-letter topic of a connector. Every answer
/// may take as long as `within`.
pub async fn check(config: &Connector, within: Duration) -> Vec<Finding> {
    let client = match client(config) {
        Ok(client) => client,
        Err(error) => {
            let mend = "correct the property under `kafka`";
            return vec![failed("brokers", &trouble::words(&error), mend)];
        }
    };
    let security = Security::of(&config.kafka);
    let cluster = match cluster(&client, within) {
        Ok(cluster) => cluster,
        Err(problem) => return unreachable(config, &security, problem),
    };
    let mut findings = security.findings(&brokers(&cluster), None);
    let topics = topics(config, &client, &cluster, within, &mut findings);
    findings.push(group(config, &client, &topics, within));
    findings.extend(dead_letters(config, &client, &topics, within).await);
    findings
}

/// A client with the connector's group, of which it becomes no member: it subscribes to nothing.
fn client(config: &Connector) -> Result<BaseConsumer<Context>, LibraryError> {
    let mut settings = ClientConfig::new();
    settings.set("client.id", "tidegate");
    set_properties(&mut settings, &config.kafka);
    settings
        .set("group.id", &config.group)
        .set("enable.auto.commit", "false")
        .set("allow.auto.create.topics", "false")
        .set_log_level(RDKafkaLogLevel::Critical);
    let secrets = config.kafka.iter().filter(|(key, _)| is_secret(key));
    let secrets = secrets.map(|(_, value)| value.expose().to_owned()).collect();
    settings.create_with_context(Context { secrets, problem: Mutex::default() })
}

/// All topics that may be seen, when a broker answers.
fn cluster(client: &BaseConsumer<Context>, within: Duration) -> Result<Metadata, Problem> {
    let start = Instant::now();
    loop {
        let turn = Duration::from_secs(1).min(within);
        let failed = match client.fetch_metadata(None, turn) {
            Ok(metadata) => return Ok(metadata),
            Err(error) => error,
        };
        // Brings the errors that say more.
        while client.poll(Duration::ZERO).is_some() {}
        let problem = client.context().problem();
        let given_up = match &problem {
            Some(Problem::Login(_) | Problem::Encryption(_)) => true,
            Some(Problem::Away(_)) => start.elapsed() > PATIENCE,
            None => false,
        };
        if given_up || start.elapsed() >= within {
            return Err(problem.unwrap_or_else(|| Problem::Away(failed.to_string())));
        }
    }
}

/// What `security.protocol` demands.
struct Security {
    encrypted: bool,
    login: bool,
}

impl Security {
    fn of(properties: &Properties) -> Self {
        let protocol = properties.get("security.protocol").map(Secret::expose);
        let protocol = protocol.unwrap_or_default().to_ascii_lowercase();
        Self { encrypted: protocol.ends_with("ssl"), login: protocol.starts_with("sasl") }
    }

    /// `brokers` is what to say of brokers that answer.
    fn findings(&self, brokers: &str, problem: Option<&Problem>) -> Vec<Finding> {
        let mut findings = vec![match problem {
            Some(Problem::Away(words)) => {
                failed("brokers", words, "look at `bootstrap.servers`, and whether the brokers run")
            }
            _ => Finding::ok("brokers", brokers),
        }];
        if self.encrypted {
            let item = "brokers' encryption";
            findings.push(match problem {
                Some(Problem::Away(_)) => Finding::unknown(item, NOT_LOOKED_AT),
                Some(Problem::Encryption(words)) => {
                    failed(item, words, "look at `security.protocol` and the certificates")
                }
                _ => Finding::ok(item, "the brokers' certificates are trusted"),
            });
        }
        if self.login {
            let item = "brokers' login";
            findings.push(match problem {
                Some(Problem::Login(words)) => {
                    failed(item, words, "look at `sasl.mechanism` and the login")
                }
                Some(_) => Finding::unknown(item, NOT_LOOKED_AT),
                None => Finding::ok(item, "is taken"),
            });
        }
        findings
    }
}

fn failed(item: &str, words: &str, mend: &str) -> Finding {
    let (reason, advice) = trouble::advised(words);
    Finding::failed(item, reason, advice.unwrap_or(mend))
}

fn brokers(cluster: &Metadata) -> String {
    let count = cluster.brokers().len();
    let plural = if count == 1 { "" } else { "s" };
    format!("{} answers, of {count} broker{plural}", cluster.orig_broker_name())
}

fn unreachable(config: &Connector, security: &Security, problem: Problem) -> Vec<Finding> {
    let problem = match problem {
        // Without them there is no item for it.
        Problem::Login(reason) if !security.login => Problem::Away(reason),
        Problem::Encryption(reason) if !security.encrypted => Problem::Away(reason),
        other => other,
    };
    let mut findings = security.findings("the brokers answer", Some(&problem));
    let names = match &config.topics {
        Topics::List(names) => names.clone(),
        Topics::Pattern(pattern) => vec![pattern.clone()],
    };
    let unknown = |item: String| Finding::unknown(item, NOT_LOOKED_AT);
    findings.extend(names.into_iter().map(|name| unknown(format!("topic {name}"))));
    findings.push(unknown(format!("group {}", config.group)));
    findings.extend(config.dead_letter.iter().map(|topic| unknown(dead_letter_item(topic))));
    findings
}

/// The topics that there are, with the numbers of their partitions.
fn topics(
    config: &Connector,
    client: &BaseConsumer<Context>,
    cluster: &Metadata,
    within: Duration,
    findings: &mut Vec<Finding>,
) -> Vec<(String, Vec<i32>)> {
    match &config.topics {
        Topics::List(names) => {
            let mut found = Vec::new();
            for name in names {
                let item = format!("topic {name}");
                findings.push(match partitions(client, name, within) {
                    Ok(numbers) => {
                        let finding = Finding::ok(item, count(numbers.len(), "partition"));
                        found.push((name.clone(), numbers));
                        finding
                    }
                    Err((reason, mend)) => Finding::failed(item, reason, mend),
                });
            }
            found
        }
        Topics::Pattern(pattern) => {
            let found = range::matching(pattern, cluster).unwrap_or_default();
            findings.push(of_pattern(pattern, &found));
            found
        }
    }
}

fn of_pattern(pattern: &str, found: &[(String, Vec<i32>)]) -> Finding {
    let item = format!("topic {pattern}");
    if found.is_empty() {
        return Finding::failed(
            item,
            "matches no topic that this user may see",
            "correct `topics_pattern`, or create the topics; those that come later are picked up",
        );
    }
    let names: Vec<_> = found.iter().take(LISTED).map(|(name, _)| name.as_str()).collect();
    let more = if found.len() > LISTED { ", …" } else { "" };
    let partitions = found.iter().map(|(_, numbers)| numbers.len()).sum();
    let (topics, partitions) = (count(found.len(), "topic"), count(partitions, "partition"));
    Finding::ok(item, format!("{topics} with {partitions}: {}{more}", names.join(", ")))
}

fn count(count: usize, one: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {one}{plural}")
}

/// What is wrong, and its mend.
type Wrong = (String, &'static str);

fn partitions(
    client: &BaseConsumer<Context>,
    name: &str,
    within: Duration,
) -> Result<Vec<i32>, Wrong> {
    let metadata = client
        .fetch_metadata(Some(name), within)
        .map_err(|error| (error.to_string(), "try again; the brokers have answered before"))?;
    let topic = metadata.topics().first();
    let error = topic.and_then(MetadataTopic::error).map(Code::from);
    match (topic, error) {
        (Some(topic), None) if !topic.partitions().is_empty() => Ok(range::numbers(topic)),
        (_, Some(Code::TopicAuthorizationFailed)) => Err((
            "this user may not look at it".into(),
            "allow this user READ and DESCRIBE on the topic",
        )),
        (_, None | Some(Code::UnknownTopicOrPartition | Code::UnknownTopic)) => {
            Err(("does not exist".into(), "create it, or correct its name"))
        }
        (_, Some(code)) => Err((code.to_string(), "look at the topic with Kafka's own tools")),
    }
}

/// What the group has committed: asked of its coordinator, which needs no member.
fn group(
    config: &Connector,
    client: &BaseConsumer<Context>,
    topics: &[(String, Vec<i32>)],
    within: Duration,
) -> Finding {
    let item = format!("group {}", config.group);
    let mut list = TopicPartitionList::new();
    for (topic, numbers) in topics {
        for number in numbers {
            list.add_partition(topic, *number);
        }
    }
    if list.count() == 0 {
        return Finding::unknown(item, "there is no partition to ask it about");
    }
    match committed(client, &list, within) {
        Ok(list) => {
            let is_place = |place: LibraryOffset| matches!(place, LibraryOffset::Offset(_));
            let all = list.count();
            let some = list.elements().iter().filter(|p| is_place(p.offset())).count();
            let reason = match some {
                0 => format!("has committed nothing yet in {}", count(all, "partition")),
                _ => format!("has committed in {some} of {}", count(all, "partition")),
            };
            Finding::ok(item, reason)
        }
        Err(error) => {
            let mend = match error.rdkafka_error_code() {
                Some(Code::GroupAuthorizationFailed) => "allow this user READ on the group",
                _ => "look at the group with kafka-consumer-groups.sh",
            };
            Finding::failed(item, error.to_string(), mend)
        }
    }
}

/// Repeated while the group's coordinator is being found or is starting.
fn committed(
    client: &BaseConsumer<Context>,
    list: &TopicPartitionList,
    within: Duration,
) -> Result<TopicPartitionList, LibraryError> {
    const PASSING: [Code; 3] =
        [Code::NotCoordinator, Code::CoordinatorNotAvailable, Code::CoordinatorLoadInProgress];
    let start = Instant::now();
    loop {
        match client.committed_offsets(list.clone(), within) {
            Err(error)
                if start.elapsed() < within
                    && error.rdkafka_error_code().is_some_and(|code| PASSING.contains(&code)) =>
            {
                std::thread::sleep(Duration::from_millis(200));
            }
            answer => return answer,
        }
    }
}

fn dead_letter_item(topic: &str) -> String {
    format!("dead letters {topic}")
}

async fn dead_letters(
    config: &Connector,
    client: &BaseConsumer<Context>,
    topics: &[(String, Vec<i32>)],
    within: Duration,
) -> Vec<Finding> {
    let Some(topic) = &config.dead_letter else {
        let reason = "no topic: a rejected record stops the connector";
        return vec![Finding::ok("dead letters", reason)];
    };
    let item = dead_letter_item(topic);
    let limits = Limits::ask(config, topic, topics, within).await;
    match partitions(client, topic, within) {
        Ok(numbers) => {
            vec![Finding::ok(item, count(numbers.len(), "partition")), limits.finding(topic)]
        }
        Err((reason, _)) if reason == "does not exist" && limits.created_by_itself => {
            vec![Finding::ok(item, "does not exist yet; the brokers create topics by themselves")]
        }
        Err((reason, mend)) => vec![Finding::failed(item, reason, mend)],
    }
}

/// How large a record may be.
struct Limits {
    /// `None` where this user may not ask.
    dead_letters: Option<u64>,
    /// Of the topic that takes the largest.
    sources: Option<(String, u64)>,
    created_by_itself: bool,
}

impl Limits {
    async fn ask(
        config: &Connector,
        dead_letters: &str,
        topics: &[(String, Vec<i32>)],
        within: Duration,
    ) -> Self {
        let mut limits = Self { dead_letters: None, sources: None, created_by_itself: false };
        let Ok(admin) = admin(&config.kafka) else { return limits };
        let options = AdminOptions::new().request_timeout(Some(within));
        let sources = topics.iter().take(MOST_TOPICS).map(|(name, _)| name.as_str());
        let names = std::iter::once(dead_letters).chain(sources);
        let resources: Vec<_> = names.map(ResourceSpecifier::Topic).collect();
        for answer in admin.describe_configs(&resources, &options).await.into_iter().flatten() {
            let Ok(answer) = answer else { continue };
            let rdkafka::admin::OwnedResourceSpecifier::Topic(name) = &answer.specifier else {
                continue;
            };
            let Some(most) = number(&answer, "max.message.bytes") else { continue };
            if name == dead_letters {
                limits.dead_letters = Some(most);
            } else if limits.sources.as_ref().is_none_or(|(_, known)| *known < most) {
                limits.sources = Some((name.clone(), most));
            }
        }
        limits.created_by_itself = creates_topics(&admin, &options, within).await;
        limits
    }

    fn finding(&self, topic: &str) -> Finding {
        let item = format!("size of dead letters {topic}");
        match (self.dead_letters, &self.sources) {
            (Some(most), Some((source, needed))) if most < *needed => Finding::failed(
                item,
                format!("takes {most} bytes, but a record of {source} may have {needed}"),
                "raise its `max.message.bytes` to the topic's, and some KiB for the headers",
            ),
            (Some(most), Some(_)) => {
                Finding::ok(item, format!("takes {most} bytes, as much as what is read"))
            }
            _ => Finding::unknown(item, "this user may not ask for the topics' limits"),
        }
    }
}

fn admin(properties: &Properties) -> Result<AdminClient<Context>, LibraryError> {
    let mut settings = ClientConfig::new();
    settings.set("client.id", "tidegate");
    super::producer::set_properties(&mut settings, properties);
    settings.set_log_level(RDKafkaLogLevel::Critical);
    settings.create_with_context(Context { secrets: Vec::new(), problem: Mutex::default() })
}

fn number(resource: &ConfigResource, name: &str) -> Option<u64> {
    resource.get(name)?.value.as_ref()?.parse().ok()
}

/// Whether the brokers create a topic that is produced to.
async fn creates_topics(
    admin: &AdminClient<Context>,
    options: &AdminOptions,
    within: Duration,
) -> bool {
    let Ok(cluster) = admin.inner().fetch_metadata(None, within) else { return false };
    let Some(broker) = cluster.brokers().first() else { return false };
    let broker = [ResourceSpecifier::Broker(broker.id())];
    let answers = admin.describe_configs(&broker, options).await.unwrap_or_default();
    let setting = |answer: &ConfigResource| answer.get("auto.create.topics.enable")?.value.clone();
    answers.into_iter().flatten().any(|answer| setting(&answer).as_deref() == Some("true"))
}

/// Why no broker has answered, from the surest to the vaguest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Problem {
    Away(String),
    Encryption(String),
    Login(String),
}

/// Keeps the reasons that the client library tells on the side.
struct Context {
    /// Values of properties that must not be shown.
    secrets: Vec<String>,
    problem: Mutex<Option<Problem>>,
}

impl Context {
    fn problem(&self) -> Option<Problem> {
        self.problem.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        super::pass_on_log(level, facility, message);
    }

    fn error(&self, error: LibraryError, reason: &str) {
        let secrets = self.secrets.iter().filter(|secret| !secret.is_empty());
        let reason = secrets.fold(reason.to_owned(), |text, secret| text.replace(secret, "***"));
        let problem = match error.rdkafka_error_code() {
            Some(Code::Authentication | Code::SaslAuthenticationFailed) => Problem::Login(reason),
            Some(Code::SSL) => Problem::Encryption(reason),
            // Also of a connection that ends in the midst of it, which has another code.
            _ if reason.contains("SSL handshake failed") => Problem::Encryption(reason),
            // Says less than what has come before it.
            Some(Code::AllBrokersDown) => return,
            _ => Problem::Away(reason),
        };
        let mut known = self.problem.lock().unwrap_or_else(PoisonError::into_inner);
        let surer = |known: &Problem| {
            std::mem::discriminant(known) == std::mem::discriminant(&problem) || *known < problem
        };
        if known.as_ref().is_none_or(surer) {
            *known = Some(problem);
        }
    }
}

impl ConsumerContext for Context {}
