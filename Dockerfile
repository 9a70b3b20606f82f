# docker build -t assay . && docker run --rm -v "$PWD/out:/out" assay suite --data builtin --out /out/suite
FROM debian:12 AS build
RUN apt-get update && apt-get install -y --no-install-recommends \
    g++ cmake ninja-build dpkg-dev file libcli11-dev libfmt-dev nlohmann-json3-dev libstb-dev
COPY . /src
RUN cmake -S /src -B /build -G Ninja -DASSAY_BUILD_TESTS=OFF -DASSAY_BUILD_BENCH=OFF && cmake --build /build
RUN cpack -G DEB -B /package --config /build/CPackConfig.cmake
FROM debian:12-slim
COPY --from=build /package/*.deb /tmp/
RUN apt-get update && apt-get install -y --no-install-recommends /tmp/*.deb && rm -rf /var/lib/apt/lists/* /tmp/*.deb
ENTRYPOINT ["assay"]
