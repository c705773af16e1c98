import java.io.PrintStream;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.ConsumerGroupDescription;
import org.apache.kafka.clients.admin.ListOffsetsResult;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.ScramCredentialInfo;
import org.apache.kafka.clients.admin.ScramMechanism;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.admin.UserScramCredentialDeletion;
import org.apache.kafka.clients.admin.UserScramCredentialUpsertion;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.GroupState;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.acl.AccessControlEntry;
import org.apache.kafka.common.acl.AccessControlEntryFilter;
import org.apache.kafka.common.acl.AclBinding;
import org.apache.kafka.common.acl.AclBindingFilter;
import org.apache.kafka.common.acl.AclOperation;
import org.apache.kafka.common.acl.AclPermissionType;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.ClusterAuthorizationException;
import org.apache.kafka.common.errors.GroupAuthorizationException;
import org.apache.kafka.common.errors.RecordTooLargeException;
import org.apache.kafka.common.errors.SaslAuthenticationException;
import org.apache.kafka.common.errors.TopicAuthorizationException;
import org.apache.kafka.common.errors.TopicExistsException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.quota.ClientQuotaFilter;
import org.apache.kafka.common.resource.PatternType;
import org.apache.kafka.common.resource.ResourcePattern;
import org.apache.kafka.common.resource.ResourcePatternFilter;
import org.apache.kafka.common.resource.ResourceType;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.utils.AppInfoParser;

/**
 * Java's kafka-clients: producer, consumer and AdminClient against a lab. It reports as the Python
 * programs do: one JSON object a line, first the plan, then a result for each check.
 */
public class Clients {
  static final Map<String, String> ENV = System.getenv();
  static final String USER = ENV.get("KAFKA_USERNAME");
  static final String OTHER = ENV.get("ALERTLAB_OTHER_USER");
  static final String TOPIC = ENV.get("ALERTLAB_TOPIC");
  static final String UNGRANTED = ENV.get("ALERTLAB_UNGRANTED_TOPIC");
  static final int VISIT = Integer.parseInt(ENV.get("ALERTLAB_VISIT"));
  static final Map<Integer, String> BROKERS = brokers(ENV.get("ALERTLAB_BROKERS"));
  static final Duration DEADLINE = Duration.ofSeconds(30);

  final Admin admin = Admin.create(login(true, Map.of()));

  interface Body {
    String run() throws Exception;
  }

  record Check(String name, String sentence, Body body) {}

  List<Check> checks() {
    return List.of(
        new Check("describe-cluster", "AdminClient describes the cluster with every broker at its own address", this::describeCluster),
        new Check("wrong-password", "a wrong password is refused as such, and not retried", this::wrongPassword),
        new Check("create-topics", "topics are created with settings, described, changed, enlarged and deleted", this::createTopics),
        new Check("describe-configs", "settings of topics and brokers are described", this::describeConfigs),
        new Check("acls", "the ACLs of a community user are those of the real system, and no more", this::acls),
        new Check("grant", "an ACL is granted, takes effect, and is revoked", this::grant),
        new Check("users", "users are listed; one is made, logs in, gets another password and is removed", this::users),
        new Check("visit", "a community user reads a visit, by both group protocols", this::visit),
        new Check("refused", "an ungranted topic, a foreign group and a write are refused", this::refused),
        new Check("produce-consume", "what is produced is consumed, once and in order, with keys and headers", this::produceConsume),
        new Check("transactions", "a transaction is seen when it is committed, and never when it is aborted", this::transactions),
        new Check("groups", "groups, their members, offsets and lag are listed and set", this::groups),
        new Check("too-large", "a message above message.max.bytes is refused", this::tooLarge),
        new Check("quotas-and-disks", "quotas and log directories are described", this::quotasAndDisks));
  }

  // The cluster.

  String describeCluster() throws Exception {
    var cluster = admin.describeCluster();
    Map<Integer, String> nodes = new TreeMap<>();
    for (Node node : got(cluster.nodes())) {
      nodes.put(node.id(), node.host() + ":" + node.port());
    }
    equal(nodes, BROKERS, "brokers");
    check(BROKERS.containsKey(got(cluster.controller()).id()), "controller " + got(cluster.controller()));
    check(!got(cluster.clusterId()).isEmpty(), "the cluster has no id");
    return nodes.size() + " brokers, controller " + got(cluster.controller()).id();
  }

  String wrongPassword() throws Exception {
    for (Map<String, Object> wrong : List.of(password(USER, "wrong"), password("nobody", "x"))) {
      long began = System.nanoTime();
      try (Admin stranger = Admin.create(login(false, wrong))) {
        equal(failure(stranger.describeCluster().nodes()), SaslAuthenticationException.class, "AdminClient");
      }
      check(System.nanoTime() - began < 10_000_000_000L, "it was tried again and again");
      try (var consumer = new KafkaConsumer<byte[], byte[]>(login(false, wrong))) {
        consumer.assign(List.of(new TopicPartition(TOPIC, 0)));
        equal(failure(() -> consumer.position(new TopicPartition(TOPIC, 0), DEADLINE)), SaslAuthenticationException.class, "consumer");
      }
    }
    return "";
  }

  // Topics and settings.

  String createTopics() throws Exception {
    String name = unique("clients-java"), plain = unique("clients-java-plain");
    var created =
        admin.createTopics(
            List.of(
                new NewTopic(name, 3, (short) 1).configs(Map.of("retention.ms", "3600000", "cleanup.policy", "compact")),
                new NewTopic(plain, java.util.Optional.of(1), java.util.Optional.empty())));
    equal(got(created.numPartitions(name)), 3, "partitions of the answer");
    Config settings = got(created.config(name));
    equal(settings.get("retention.ms").value(), "3600000", "retention.ms of the answer");
    equal(settings.get("retention.ms").source(), ConfigEntry.ConfigSource.DYNAMIC_TOPIC_CONFIG, "its source");
    got(created.all());
    until("both topics are listed", () -> unchecked(admin.listTopics().names()).containsAll(List.of(name, plain)));
    equal(failure(admin.createTopics(List.of(new NewTopic(name, 3, (short) 1))).all()), TopicExistsException.class, "creating it twice");

    Map<String, TopicDescription> described = got(admin.describeTopics(List.of(name, plain, TOPIC)).allTopicNames());
    equal(described.get(name).partitions().size(), 3, "partitions");
    described.values().forEach(t -> t.partitions().forEach(p -> check(BROKERS.containsKey(p.leader().id()), t.name() + ": leader " + p.leader())));
    equal(described.get(TOPIC).partitions().stream().map(p -> p.leader().id()).collect(Collectors.toSet()), BROKERS.keySet(), "leaders of " + TOPIC);
    var byId = got(admin.describeTopics(org.apache.kafka.common.TopicCollection.ofTopicIds(List.of(described.get(name).topicId()))).allTopicIds());
    equal(byId.values().iterator().next().name(), name, "topic by its id");
    equal(failure(admin.describeTopics(List.of("clients-not-there")).allTopicNames()), UnknownTopicOrPartitionException.class, "describing what is not there");

    var resource = new ConfigResource(ConfigResource.Type.TOPIC, name);
    got(admin.incrementalAlterConfigs(Map.of(resource, List.of(new AlterConfigOp(new ConfigEntry("retention.ms", "7200000"), AlterConfigOp.OpType.SET)))).all());
    settings = got(admin.describeConfigs(List.of(resource)).all()).get(resource);
    equal(settings.get("retention.ms").value(), "7200000", "retention.ms after its change");
    equal(settings.get("cleanup.policy").value(), "compact", "cleanup.policy after it");
    got(admin.incrementalAlterConfigs(Map.of(resource, List.of(new AlterConfigOp(new ConfigEntry("retention.ms", ""), AlterConfigOp.OpType.DELETE)))).all());
    settings = got(admin.describeConfigs(List.of(resource)).all()).get(resource);
    check(settings.get("retention.ms").source() != ConfigEntry.ConfigSource.DYNAMIC_TOPIC_CONFIG, "retention.ms is still the topic's own");

    got(admin.createPartitions(Map.of(name, NewPartitions.increaseTo(5))).all());
    until("five partitions", () -> unchecked(admin.describeTopics(List.of(name)).allTopicNames()).get(name).partitions().size() == 5);
    got(admin.deleteTopics(List.of(name, plain)).all());
    until("the deleted topics are gone", () -> unchecked(admin.listTopics().names()).stream().noneMatch(t -> t.equals(name) || t.equals(plain)));
    return described.get(TOPIC).partitions().size() + " partitions of " + TOPIC + " on " + BROKERS.size() + " brokers";
  }

  String describeConfigs() throws Exception {
    var topic = new ConfigResource(ConfigResource.Type.TOPIC, TOPIC);
    var broker = new ConfigResource(ConfigResource.Type.BROKER, BROKERS.keySet().iterator().next().toString());
    Map<ConfigResource, Config> settings = got(admin.describeConfigs(List.of(topic, broker)).all());
    equal(settings.get(topic).get("message.timestamp.type").value(), "LogAppendTime", "message.timestamp.type");
    equal(settings.get(broker).get("message.max.bytes").value(), "4194304", "message.max.bytes");
    for (ConfigEntry e : settings.get(broker).entries()) {
      check(e.source() != ConfigEntry.ConfigSource.UNKNOWN, e.name() + " has an unknown source");
    }
    try (Admin user = Admin.create(login(false, Map.of()))) {
      equal(got(user.describeConfigs(List.of(topic)).all()).get(topic).get("message.timestamp.type").value(), "LogAppendTime", USER + " sees");
      equal(failure(user.describeConfigs(List.of(broker)).all()), ClusterAuthorizationException.class, USER + " asks for a broker's settings");
    }
    return settings.get(topic).entries().size() + " of the topic, " + settings.get(broker).entries().size() + " of the broker";
  }

  // Rights and users.

  String acls() throws Exception {
    var mine = new AccessControlEntryFilter("User:" + USER, null, AclOperation.ANY, AclPermissionType.ANY);
    Collection<AclBinding> bindings = got(admin.describeAcls(new AclBindingFilter(ResourcePatternFilter.ANY, mine)).values());
    Set<String> seen = new TreeSet<>();
    for (AclBinding b : bindings) {
      seen.add(
          b.entry().permissionType() + " " + b.entry().operation() + " on " + b.pattern().resourceType() + " " + b.pattern().patternType() + " "
              + b.pattern().name() + " from " + b.entry().host());
    }
    Set<String> want = new TreeSet<>();
    for (String operation : List.of("READ", "DESCRIBE", "DESCRIBE_CONFIGS")) {
      want.add("ALLOW " + operation + " on TOPIC LITERAL " + TOPIC + " from *");
    }
    want.add("ALLOW ALL on GROUP PREFIXED " + USER + " from *");
    equal(seen, want, "ACLs of " + USER);
    int all = got(admin.describeAcls(AclBindingFilter.ANY).values()).size();
    try (Admin user = Admin.create(login(false, Map.of()))) {
      equal(failure(user.describeAcls(AclBindingFilter.ANY).values()), ClusterAuthorizationException.class, USER + " lists ACLs");
    }
    return seen.size() + " of " + USER + ", " + all + " of all users";
  }

  String grant() throws Exception {
    String name = unique("clients-granted");
    got(admin.createTopics(List.of(new NewTopic(name, 1, (short) 1))).all());
    var binding =
        new AclBinding(
            new ResourcePattern(ResourceType.TOPIC, name, PatternType.LITERAL),
            new AccessControlEntry("User:" + USER, "*", AclOperation.DESCRIBE, AclPermissionType.ALLOW));
    try (Admin user = Admin.create(login(false, Map.of()))) {
      check(!got(user.listTopics().names()).contains(name), "it is seen before it is granted");
      got(admin.createAcls(List.of(binding)).all());
      until("the grant takes effect", () -> unchecked(user.listTopics().names()).contains(name));
      equal(got(admin.deleteAcls(List.of(binding.toFilter())).all()), List.of(binding), "deleted ACLs");
      until("the revocation takes effect", () -> !unchecked(user.listTopics().names()).contains(name));
    }
    got(admin.deleteTopics(List.of(name)).all());
    return "";
  }

  String users() throws Exception {
    Set<String> known = got(admin.describeUserScramCredentials().all()).keySet();
    check(known.containsAll(List.of(USER, OTHER)), "users that are listed: " + known);
    String name = unique("clients-user");
    for (String secret : List.of("first", "second")) {
      var info = new ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096);
      got(admin.alterUserScramCredentials(List.of(new UserScramCredentialUpsertion(name, info, secret))).all());
      until(
          "the credential is described",
          () -> {
            var d = failureOr(admin.describeUserScramCredentials(List.of(name)).description(name));
            return d != null && d.credentialInfos().equals(List.of(info));
          });
      try (Admin user = Admin.create(login(false, password(name, secret)))) {
        equal(got(user.describeCluster().nodes()).size(), BROKERS.size(), "brokers that it sees");
        check(!got(user.listTopics().names()).contains(TOPIC), "a user without ACLs sees " + TOPIC);
      }
    }
    try (Admin user = Admin.create(login(false, password(name, "first")))) {
      equal(failure(user.describeCluster().nodes()), SaslAuthenticationException.class, "the former password");
    }
    got(admin.alterUserScramCredentials(List.of(new UserScramCredentialDeletion(name, ScramMechanism.SCRAM_SHA_512))).all());
    try (Admin user = Admin.create(login(false, password(name, "second")))) {
      equal(failure(user.describeCluster().nodes()), SaslAuthenticationException.class, "a removed user");
    }
    return known.size() + " users of the lab";
  }

  // Reading and writing.

  String visit() throws Exception {
    List<String> took = new ArrayList<>();
    for (String protocol : List.of("classic", "consumer")) {
      Map<String, Object> settings = Map.of("group.id", unique(USER), "auto.offset.reset", "earliest", "group.protocol", protocol);
      try (var consumer = new KafkaConsumer<byte[], byte[]>(login(false, settings))) {
        consumer.subscribe(List.of(TOPIC));
        Set<Integer> seen = new HashSet<>();
        until(
            VISIT + " different alerts by " + protocol,
            () -> {
              for (ConsumerRecord<byte[], byte[]> r : consumer.poll(Duration.ofMillis(200))) {
                equal(r.value()[0], (byte) 0, "first byte");
                equal(r.timestampType().name, "LogAppendTime", "timestamp type");
                seen.add(Arrays.hashCode(r.value()));
              }
              return seen.size() >= VISIT;
            });
        consumer.commitSync();
        took.add(protocol);
      }
    }
    return VISIT + " alerts by " + String.join(" and ", took);
  }

  String refused() throws Exception {
    try (var consumer = new KafkaConsumer<byte[], byte[]>(login(false, Map.of("group.id", unique(USER))))) {
      consumer.subscribe(List.of(UNGRANTED));
      equal(failure(() -> pollFor(consumer)), TopicAuthorizationException.class, "an ungranted topic");
    }
    for (String protocol : List.of("classic", "consumer")) {
      try (var consumer = new KafkaConsumer<byte[], byte[]>(login(false, Map.of("group.id", unique(OTHER), "group.protocol", protocol)))) {
        consumer.subscribe(List.of(TOPIC));
        equal(failure(() -> pollFor(consumer)), GroupAuthorizationException.class, "a foreign group by " + protocol);
      }
    }
    try (var producer = new KafkaProducer<byte[], byte[]>(login(false, Map.of("enable.idempotence", false)))) {
      equal(failure(producer.send(new ProducerRecord<>(TOPIC, new byte[] {1}))), TopicAuthorizationException.class, "a write");
    }
    // Java's default asks for a producer id first, which wants the right to write somewhere.
    try (var producer = new KafkaProducer<byte[], byte[]>(login(false, Map.of()))) {
      try {
        producer.send(new ProducerRecord<>(TOPIC, new byte[] {1})).get();
        throw new AssertionError("an idempotent write was taken");
      } catch (KafkaException | ExecutionException e) {
        equal(e.getCause().getClass(), ClusterAuthorizationException.class, "an idempotent write");
      }
    }
    return "";
  }

  String produceConsume() throws Exception {
    int count = 2000;
    try (var topic = new Topic(4)) {
      try (var producer = new KafkaProducer<byte[], byte[]>(login(true, Map.of("acks", "all", "compression.type", "zstd", "linger.ms", 5)))) {
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        for (int i = 0; i < count; i++) {
          var header = new RecordHeader("n", Integer.toString(i).getBytes());
          sent.add(producer.send(new ProducerRecord<>(topic.name, null, Integer.toString(i % 9).getBytes(), new byte[5000], List.of(header))));
        }
        Set<String> places = new HashSet<>();
        for (Future<RecordMetadata> f : sent) {
          RecordMetadata m = got(f);
          places.add(m.partition() + " " + m.offset());
        }
        equal(places.size(), count, "acknowledged places");
      }
      Map<String, Object> settings = Map.of("group.id", unique("clients"), "auto.offset.reset", "earliest");
      try (var consumer = new KafkaConsumer<byte[], byte[]>(login(true, settings))) {
        consumer.subscribe(List.of(topic.name));
        Map<Integer, Integer> last = new HashMap<>();
        Set<Integer> seen = new HashSet<>();
        until(
            count + " messages",
            () -> {
              for (ConsumerRecord<byte[], byte[]> r : consumer.poll(Duration.ofMillis(200))) {
                int n = Integer.parseInt(new String(r.headers().lastHeader("n").value()));
                equal(new String(r.key()), Integer.toString(n % 9), "key of " + n);
                equal(r.value().length, 5000, "size of " + n);
                check(seen.add(n), n + " came twice");
                check(last.getOrDefault(n % 9, -1) < n, n + " came after " + last.get(n % 9));
                last.put(n % 9, n);
              }
              return seen.size() == count;
            });
      }
    }
    return count + " messages";
  }

  String transactions() throws Exception {
    try (var topic = new Topic(1)) {
      try (var producer = new KafkaProducer<byte[], byte[]>(login(true, Map.of("transactional.id", unique("clients"))))) {
        producer.initTransactions();
        for (String word : List.of("aborted", "committed")) {
          producer.beginTransaction();
          for (int i = 0; i < 10; i++) {
            producer.send(new ProducerRecord<>(topic.name, word.getBytes()));
          }
          producer.flush(); // a producer forgets what it has not sent yet when it aborts
          if (word.equals("aborted")) {
            producer.abortTransaction();
          } else {
            producer.commitTransaction();
          }
        }
      }
      Map<String, Object> settings = Map.of("isolation.level", "read_committed", "auto.offset.reset", "earliest");
      try (var consumer = new KafkaConsumer<byte[], byte[]>(login(true, settings))) {
        var partition = new TopicPartition(topic.name, 0);
        consumer.assign(List.of(partition));
        List<String> seen = new ArrayList<>();
        until(
            "the end of the topic",
            () -> {
              consumer.poll(Duration.ofMillis(200)).forEach(r -> seen.add(new String(r.value())));
              return consumer.position(partition) >= 22;
            });
        equal(seen, java.util.Collections.nCopies(10, "committed"), "what is read");
      }
    }
    return "";
  }

  String groups() throws Exception {
    String group = unique("clients");
    try (var topic = new Topic(1)) {
      try (var producer = new KafkaProducer<byte[], byte[]>(login(true, Map.of()))) {
        for (int i = 0; i < 100; i++) {
          producer.send(new ProducerRecord<>(topic.name, new byte[] {1}));
        }
      }
      var partition = new TopicPartition(topic.name, 0);
      Map<String, Object> settings =
          Map.of("group.id", group, "auto.offset.reset", "earliest", "enable.auto.commit", false, "max.poll.records", 40);
      try (var consumer = new KafkaConsumer<byte[], byte[]>(login(true, settings))) {
        consumer.subscribe(List.of(topic.name));
        until("40 messages", () -> consumer.poll(Duration.ofMillis(200)).count() > 0);
        consumer.commitSync(Map.of(partition, new OffsetAndMetadata(40)));
        ConsumerGroupDescription d = got(admin.describeConsumerGroups(List.of(group)).all()).get(group);
        equal(d.groupState(), GroupState.STABLE, "state");
        equal(d.members().size(), 1, "members");
        equal(d.members().iterator().next().assignment().topicPartitions(), Set.of(partition), "assignment");
        check(BROKERS.containsKey(d.coordinator().id()), "coordinator " + d.coordinator());
        check(got(admin.listGroups().all()).stream().anyMatch(g -> g.groupId().equals(group)), "the group is not listed");
        equal(lag(group, partition), 60L, "lag");
      }
      until("the group is empty", () -> unchecked(admin.describeConsumerGroups(List.of(group)).all()).get(group).groupState() == GroupState.EMPTY);
      got(admin.alterConsumerGroupOffsets(group, Map.of(partition, new OffsetAndMetadata(90))).all());
      equal(lag(group, partition), 10L, "lag after offsets were set");
      got(admin.deleteConsumerGroups(List.of(group)).all());
    }
    return "lag 60, then 10";
  }

  long lag(String group, TopicPartition partition) throws Exception {
    long committed = got(admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata()).get(partition).offset();
    ListOffsetsResult.ListOffsetsResultInfo end = got(admin.listOffsets(Map.of(partition, OffsetSpec.latest())).all()).get(partition);
    return end.offset() - committed;
  }

  String tooLarge() throws Exception {
    try (var topic = new Topic(1);
        var producer = new KafkaProducer<byte[], byte[]>(login(true, Map.of("max.request.size", 10_000_000)))) {
      equal(failure(producer.send(new ProducerRecord<>(topic.name, new byte[4194305]))), RecordTooLargeException.class, "one byte too many");
      equal(got(producer.send(new ProducerRecord<>(topic.name, new byte[4194304 - 1000]))).offset(), 0L, "offset of one below");
    }
    return "4194304 bytes";
  }

  String quotasAndDisks() throws Exception {
    equal(got(admin.describeClientQuotas(ClientQuotaFilter.all()).entities()).size(), 0, "quotas");
    var disks = got(admin.describeLogDirs(BROKERS.keySet()).allDescriptions());
    equal(disks.keySet(), BROKERS.keySet(), "brokers with disks");
    long bytes = 0;
    for (var dirs : disks.values()) {
      for (var dir : dirs.values()) {
        check(dir.error() == null, "a disk with an error: " + dir.error());
        for (var e : dir.replicaInfos().entrySet()) {
          if (e.getKey().topic().equals(TOPIC)) {
            bytes += e.getValue().size();
          }
        }
      }
    }
    check(bytes > 0, TOPIC + " takes no room");
    return bytes / 1_000_000 + " MB of " + TOPIC;
  }

  // What the checks share.

  /** A topic for one check. */
  class Topic implements AutoCloseable {
    final String name = unique("clients-java");

    Topic(int partitions) throws Exception {
      got(admin.createTopics(List.of(new NewTopic(name, partitions, (short) 1))).all());
    }

    @Override
    public void close() throws Exception {
      got(admin.deleteTopics(List.of(name)).all());
    }
  }

  static Map<String, Object> login(boolean admin, Map<String, ?> more) {
    String prefix = admin ? "ADMIN_" : "";
    Map<String, Object> settings = new HashMap<>();
    settings.put("bootstrap.servers", ENV.get("KAFKA_BOOTSTRAP_SERVERS"));
    settings.put("security.protocol", ENV.get("KAFKA_SECURITY_PROTOCOL"));
    settings.put("sasl.mechanism", ENV.get("KAFKA_SASL_MECHANISM"));
    settings.putAll(password(ENV.get(prefix + "KAFKA_USERNAME"), ENV.get(prefix + "KAFKA_PASSWORD")));
    if (ENV.containsKey("SSL_CA_FILE")) {
      settings.put("ssl.truststore.type", "PEM");
      settings.put("ssl.truststore.location", ENV.get("SSL_CA_FILE"));
    }
    settings.put("key.serializer", ByteArraySerializer.class);
    settings.put("value.serializer", ByteArraySerializer.class);
    settings.put("key.deserializer", ByteArrayDeserializer.class);
    settings.put("value.deserializer", ByteArrayDeserializer.class);
    settings.putAll(more);
    return settings;
  }

  static Map<String, Object> password(String user, String password) {
    String module = "org.apache.kafka.common.security.scram.ScramLoginModule";
    return Map.of("sasl.jaas.config", module + " required username=\"" + user + "\" password=\"" + password + "\";");
  }

  static Map<Integer, String> brokers(String list) {
    Map<Integer, String> brokers = new TreeMap<>();
    for (String entry : list.split(",")) {
      String[] parts = entry.split("=");
      brokers.put(Integer.parseInt(parts[0]), parts[1]);
    }
    return brokers;
  }

  static String unique(String name) {
    return name + "-" + Long.toHexString(System.nanoTime());
  }

  static void check(boolean holds, String otherwise) {
    if (!holds) {
      throw new AssertionError(otherwise);
    }
  }

  static void equal(Object got, Object want, String what) {
    check(got.equals(want), what + ": got " + got + ", want " + want);
  }

  static <T> T got(Future<T> future) throws Exception {
    return future.get(DEADLINE.toSeconds(), TimeUnit.SECONDS);
  }

  static <T> T unchecked(Future<T> future) {
    try {
      return got(future);
    } catch (Exception e) {
      throw new RuntimeException(e);
    }
  }

  /** Gives null while what is asked for is not there yet. */
  static <T> T failureOr(Future<T> future) {
    try {
      return got(future);
    } catch (Exception e) {
      return null;
    }
  }

  static Class<?> failure(Future<?> future) throws Exception {
    try {
      throw new AssertionError("no error but " + got(future));
    } catch (ExecutionException e) {
      return e.getCause().getClass();
    }
  }

  static Class<?> failure(Runnable call) {
    try {
      call.run();
    } catch (RuntimeException e) {
      return e.getClass();
    }
    throw new AssertionError("no error");
  }

  static void pollFor(KafkaConsumer<byte[], byte[]> consumer) {
    until("an error", () -> !consumer.poll(Duration.ofMillis(200)).isEmpty());
  }

  static void until(String what, BooleanSupplier condition) {
    long end = System.nanoTime() + DEADLINE.toNanos();
    while (!condition.getAsBoolean()) {
      check(System.nanoTime() < end, "after " + DEADLINE.toSeconds() + " s still not: " + what);
      try {
        Thread.sleep(20);
      } catch (InterruptedException e) {
        throw new RuntimeException(e);
      }
    }
  }

  // The report.

  static String quoted(Object value) {
    if (value instanceof Number) {
      return value.toString();
    }
    if (value instanceof Collection<?> list) {
      return list.stream().map(Clients::quoted).collect(Collectors.joining(",", "[", "]"));
    }
    StringBuilder s = new StringBuilder("\"");
    for (char c : value.toString().toCharArray()) {
      if (c == '"' || c == '\\') {
        s.append('\\').append(c);
      } else if (c < ' ') {
        s.append(String.format("\\u%04x", (int) c));
      } else {
        s.append(c);
      }
    }
    return s.append('"').toString();
  }

  static void say(PrintStream out, Map<String, Object> line) {
    out.println(line.entrySet().stream().map(e -> quoted(e.getKey()) + ":" + quoted(e.getValue())).collect(Collectors.joining(",", "{", "}")));
    out.flush();
  }

  public static void main(String[] args) {
    PrintStream out = System.out;
    System.setOut(System.err);
    Clients clients = new Clients();
    List<String> wanted = List.of(args);
    Set<String> unknown = new TreeSet<>(wanted);
    clients.checks().forEach(c -> unknown.remove(c.name()));
    List<Check> chosen = clients.checks().stream().filter(c -> wanted.isEmpty() || wanted.contains(c.name())).toList();
    Map<String, Object> plan = new LinkedHashMap<>();
    plan.put("version", "kafka-clients " + AppInfoParser.getVersion() + ", Java " + Runtime.version().feature());
    plan.put("plan", chosen.stream().map(Check::name).toList());
    plan.put("unknown", unknown);
    say(out, plan);
    boolean failed = !unknown.isEmpty();
    for (Check c : chosen) {
      long began = System.nanoTime();
      Map<String, Object> line = new LinkedHashMap<>();
      line.put("check", c.name());
      line.put("sentence", c.sentence());
      try {
        line.put("evidence", c.body().run());
      } catch (Throwable e) {
        failed = true;
        e.printStackTrace();
        Throwable cause = e instanceof ExecutionException && e.getCause() != null ? e.getCause() : e;
        line.put("error", cause.getClass().getSimpleName() + ": " + cause.getMessage());
      }
      line.put("seconds", (System.nanoTime() - began) / 1e9);
      say(out, line);
    }
    System.exit(failed ? 1 : 0);
  }
}
