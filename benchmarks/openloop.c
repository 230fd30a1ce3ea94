/* Open-loop HTTP/1.1 load: requests leave on a schedule, whether or not earlier ones were answered.
 *
 *   openloop PORT PATH BODIES RATE SECONDS WARMUP_SECONDS CONNECTIONS SEED
 *
 * Posts the lines of BODIES in turn to 127.0.0.1. Arrivals are Poisson with RATE requests a second; the
 * same SEED gives the same schedule. A latency runs from the time a request was due to the last byte of
 * its answer, so that waiting for a slow server counts (no coordinated omission). A request without an
 * answer of status 200 counts with the time it had been due for when the run ended, half a second after
 * the last one was due. "lag" is what this program itself was late by. Prints one JSON object.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { MAX_BODIES = 4096, ANSWER_BYTES = 65536, EVENTS = 256, GRACE_NS = 500000000 };
static const uint32_t TIMER = UINT32_MAX;
static const int64_t SECOND = 1000000000;

struct connection {
    int socket;
    long request; /* the one in flight, -1 if none */
    int64_t freed_at;
    size_t filled;
    char answer[ANSWER_BYTES];
};

struct text {
    char *bytes;
    size_t length;
};

static struct text requests[MAX_BODIES];
static int request_count, port, connection_count, timer, poller;
static struct connection *connections;
static int *idle, idle_first, idle_count; /* a ring: the longest idle connection goes first */
static int64_t *due, *latency, *lag;
static long total, issued, answered, failed;

static int64_t now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * SECOND + time.tv_nsec;
}

static void fail(const char *what) {
    fprintf(stderr, "openloop: %s: %s\n", what, errno ? strerror(errno) : "not as expected");
    exit(1);
}

static void *allocate(size_t count, size_t size) {
    void *memory = calloc(count, size);
    if (!memory) fail("memory");
    return memory;
}

static void read_requests(const char *path, const char *file) {
    FILE *stream = fopen(file, "r");
    if (!stream) fail(file);
    char *line = NULL;
    size_t capacity = 0;
    ssize_t length;
    while (request_count < MAX_BODIES && (length = getline(&line, &capacity, stream)) > 1) {
        line[--length] = '\0';
        int size = asprintf(&requests[request_count].bytes,
                            "POST %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Type: application/json\r\n"
                            "Content-Length: %zd\r\n\r\n%s",
                            path, port, length, line);
        if (size < 0) fail("memory");
        requests[request_count++].length = (size_t)size;
    }
    free(line);
    fclose(stream);
    if (!request_count) fail("no request bodies");
}

static void make_schedule(double rate, double seconds, unsigned seed) {
    long capacity = (long)(rate * seconds * 1.5) + 1000;
    due = allocate((size_t)capacity, sizeof *due);
    srand48(seed);
    double at_s = 0;
    while (total < capacity && (at_s += -log(1 - drand48()) / rate) < seconds)
        due[total++] = (int64_t)(at_s * 1e9);
    latency = allocate((size_t)total, sizeof *latency);
    lag = allocate((size_t)total, sizeof *lag);
    for (long i = 0; i < total; i++) latency[i] = -1;
}

static void release(int index) {
    connections[index].request = -1;
    connections[index].filled = 0;
    connections[index].freed_at = now();
    idle[(idle_first + idle_count++) % connection_count] = index;
}

static void open_connection(int index) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int one = 1, descriptor = socket(AF_INET, SOCK_STREAM, 0);
    if (descriptor < 0 || connect(descriptor, (struct sockaddr *)&address, sizeof address)) fail("connect");
    setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    fcntl(descriptor, F_SETFL, O_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = (uint32_t)index};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, descriptor, &event)) fail("epoll");
    connections[index].socket = descriptor;
    release(index);
}

static void give_up(int index) {
    failed++;
    close(connections[index].socket);
    open_connection(index);
}

/* Sends what is due while there are idle connections; then sets the timer for what comes next. */
static void send_due(int64_t start) {
    while (issued < total && idle_count) {
        int64_t time = now();
        if (start + due[issued] > time) break;
        int index = idle[idle_first];
        struct connection *connection = &connections[index];
        struct text request = requests[issued % request_count];
        int64_t possible = start + due[issued];
        if (connection->freed_at > possible) possible = connection->freed_at;
        lag[issued] = time - possible;
        idle_first = (idle_first + 1) % connection_count;
        idle_count--;
        connection->request = issued++;
        if (write(connection->socket, request.bytes, request.length) != (ssize_t)request.length)
            give_up(index);
    }
    if (issued < total && idle_count) {
        int64_t next = start + due[issued];
        struct itimerspec at = {.it_value = {next / SECOND, next % SECOND}};
        timerfd_settime(timer, TFD_TIMER_ABSTIME, &at, NULL);
    }
}

/* The length of the whole answer, 0 while its head is incomplete. */
static size_t answer_length(struct connection *connection) {
    connection->answer[connection->filled] = '\0';
    char *end = strstr(connection->answer, "\r\n\r\n");
    if (!end) return 0;
    char *header = strcasestr(connection->answer, "\r\ncontent-length:");
    if (!header || header > end) {
        errno = 0;
        fail("an answer has no content-length");
    }
    return (size_t)(end + 4 - connection->answer) + strtoul(header + 17, NULL, 10);
}

static void receive(int index, int64_t start) {
    struct connection *connection = &connections[index];
    size_t room = ANSWER_BYTES - 1 - connection->filled;
    ssize_t size = read(connection->socket, connection->answer + connection->filled, room);
    if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (size <= 0) {
        if (connection->request < 0) fail("the server closed an idle connection");
        give_up(index);
        return;
    }
    connection->filled += (size_t)size;
    size_t length = answer_length(connection);
    if (!length || connection->filled < length) return;
    if (strncmp(connection->answer, "HTTP/1.1 200", 12)) {
        failed++;
    } else {
        latency[connection->request] = now() - start - due[connection->request];
        answered++;
    }
    release(index);
}

static int64_t run(void) {
    struct epoll_event events[EVENTS];
    int64_t start = now() + SECOND / 100, end = start + due[total - 1] + GRACE_NS;
    while (answered + failed < total && now() < end) {
        send_due(start);
        int count = epoll_wait(poller, events, EVENTS, 100);
        for (int i = 0; i < count; i++)
            if (events[i].data.u32 != TIMER) receive((int)events[i].data.u32, start);
    }
    return now() - start;
}

static int ascending(const void *left, const void *right) {
    int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return (a > b) - (a < b);
}

static double quantile_ms(const int64_t *sorted, long count, double share) {
    long rank = (long)ceil(share * (double)count) - 1;
    return (double)sorted[rank < 0 ? 0 : rank] / 1e6;
}

static void report(int64_t elapsed, double warmup_s, double seconds) {
    long first = 0, unanswered = 0;
    while (first < total && due[first] < warmup_s * 1e9) first++;
    long count = total - first;
    if (count <= 0) fail("nothing was due after the warm-up");
    for (long i = first; i < total; i++)
        if (latency[i] < 0) {
            latency[i] = elapsed - due[i];
            unanswered++;
        }
    qsort(latency + first, (size_t)count, sizeof *latency, ascending);
    qsort(lag + first, (size_t)count, sizeof *lag, ascending);
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    double cpu_s = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                   (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
    int64_t *sorted = latency + first;
    printf("{\"due\": %ld, \"answered\": %ld, \"failed\": %ld, \"seconds\": %.3f, \"p50_ms\": %.3f, "
           "\"p90_ms\": %.3f, \"p99_ms\": %.3f, \"p999_ms\": %.3f, \"max_ms\": %.3f, \"lag_p99_ms\": %.3f, "
           "\"cpu_s\": %.3f, \"elapsed_s\": %.3f}\n",
           count, count - unanswered, unanswered, seconds - warmup_s, quantile_ms(sorted, count, 0.5),
           quantile_ms(sorted, count, 0.9), quantile_ms(sorted, count, 0.99),
           quantile_ms(sorted, count, 0.999), quantile_ms(sorted, count, 1),
           quantile_ms(lag + first, count, 0.99), cpu_s, (double)elapsed / 1e9);
}

int main(int argc, char **argv) {
    if (argc != 9) {
        fprintf(stderr, "usage: openloop PORT PATH BODIES RATE SECONDS WARMUP_SECONDS CONNECTIONS SEED\n");
        return 2;
    }
    port = atoi(argv[1]);
    connection_count = atoi(argv[7]);
    double warmup_s = atof(argv[6]), seconds = atof(argv[5]) + warmup_s;
    read_requests(argv[2], argv[3]);
    make_schedule(atof(argv[4]), seconds, (unsigned)atol(argv[8]));
    connections = allocate((size_t)connection_count, sizeof *connections);
    idle = allocate((size_t)connection_count, sizeof *idle);
    poller = epoll_create1(0);
    timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.u32 = TIMER};
    if (poller < 0 || timer < 0 || epoll_ctl(poller, EPOLL_CTL_ADD, timer, &event)) fail("epoll");
    for (int i = 0; i < connection_count; i++) open_connection(i);
    report(run(), warmup_s, seconds);
    return 0;
}
