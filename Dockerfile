# syntax=docker/dockerfile:1

# The image, for who has a builder:
#
#   docker buildx build --platform linux/amd64,linux/arm64 --build-arg REVISION=$(git rev-parse HEAD) .
#
# `make image` makes the same without one: it reads the last stage, so that what is in it is written here alone.

FROM --platform=$BUILDPLATFORM rust:1.95.0-bookworm AS build
ARG TARGETARCH
ARG REVISION=unknown
# hadolint ignore=DL3008,SC2086
RUN case "$(dpkg --print-architecture)-$TARGETARCH" in \
      amd64-arm64) cross="gcc-aarch64-linux-gnu libc6-dev-arm64-cross" ;; \
      arm64-amd64) cross="gcc-x86-64-linux-gnu libc6-dev-amd64-cross" ;; \
      *) cross= ;; \
    esac; \
    apt-get update && \
    apt-get install -y --no-install-recommends ca-certificates $cross && \
    rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN make binary ARCH="$TARGETARCH" REVISION="$REVISION" OUT=/out/lamplighter

FROM scratch
ARG REVISION=unknown
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="lamplighter" \
      org.opencontainers.image.description="Sign in at your identity provider, be in at your Kubernetes UI" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.version="$VERSION"
COPY --from=build /out/lamplighter /bin/lamplighter
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
ENV PATH="/bin"
EXPOSE 8080 8081 9090
USER 65532:65532
ENTRYPOINT ["/bin/lamplighter"]
