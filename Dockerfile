# syntax=docker/dockerfile:1
# OnePool as an image: one static program and the certificates of public authorities, no shell, no root.

FROM rust:1.95-alpine AS build
WORKDIR /src
# .dockerignore lets in only what the program is made of.
COPY . .
# Sources and build products of dependencies stay in caches of the builder between builds.
ARG TARGETARCH
RUN --mount=type=cache,id=onepool-registry,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,id=onepool-target-${TARGETARCH},target=/src/target,sharing=locked \
    cargo build --release --locked --bin onepool \
    && install -D -m 0755 target/release/onepool /image/usr/local/bin/onepool
# The image has no loader: a program that asks for one is not static. The rest is all that it needs beside itself.
RUN readelf -l /image/usr/local/bin/onepool > /tmp/headers \
    && ! grep -q INTERP /tmp/headers \
    && install -D -m 0644 /etc/ssl/certs/ca-certificates.crt /image/etc/ssl/certs/ca-certificates.crt \
    && install -D -m 0644 -t /image/licenses LICENSE-MIT LICENSE-APACHE \
    && install -d -m 0700 -o 65532 -g 65532 /data

FROM scratch
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="OnePool" \
      org.opencontainers.image.description="A self-hosted gateway that pools LLM API keys behind one OpenAI-compatible endpoint" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /image /
# An empty volume takes over this owner.
COPY --from=build --chown=65532:65532 /data /data
ENV PATH=/usr/local/bin \
    DATA_DIR=/data \
    LISTEN=0.0.0.0:3000
USER 65532:65532
VOLUME /data
EXPOSE 3000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 \
    CMD ["/usr/local/bin/onepool", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/onepool"]
CMD ["serve"]
