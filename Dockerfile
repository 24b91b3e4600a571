# syntax=docker/dockerfile:1
# The image of the gateway: one binary on distroless, not root, no shell.
# docker build -t sluice .
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --bin sluice && install -D target/release/sluice /out/sluice

FROM gcr.io/distroless/cc-debian12:nonroot
LABEL org.opencontainers.image.title="sluice" \
      org.opencontainers.image.description="A Kubernetes-native AI gateway" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /out/sluice /usr/bin/sluice
USER 65532:65532
EXPOSE 8080 8443 9090
ENTRYPOINT ["/usr/bin/sluice"]
CMD ["run"]
