#!/bin/sh
# Fetches the fonts of this folder again from the package registries (npm and Debian), with their licences.
# Run it in an empty folder: sh gather.sh. It writes serial/, lettering/ and licences/ there.
set -eu
serial="oswald:500 oswald:400 bebas-neue:400 saira-condensed:500 saira-condensed:600 saira-extra-condensed:600
 saira:500 barlow-condensed:500 barlow-condensed:600 barlow-semi-condensed:600 overpass:600 roboto-condensed:500
 roboto-condensed:700 antonio:500 fjalla-one:400 archivo-narrow:600 rajdhani:600 teko:500 share-tech-mono:400
 chakra-petch:600 big-shoulders-display:600 dosis:600 dosis:700 m-plus-rounded-1c:500 m-plus-rounded-1c:700
 nunito:600 rubik:500 overpass-mono:600"
lettering="lobster:400 kaushan-script:400 damion:400 satisfy:400 tinos:400 tinos:700 merriweather:700 cinzel:700
 graduate:400 roboto-slab:700 alfa-slab-one:400 archivo-black:400 playfair-display:700 roboto-condensed:700
 barlow-semi-condensed:600 overpass:700"
mkdir -p serial lettering licences work
take() { # folder, name:weight
    name=${2%%:*} weight=${2##*:} source=work/node_modules/@fontsource/$name
    cp "$source/files/$name-latin-$weight-normal.woff2" "$1/"
    cp "$source/LICENSE" "licences/$name.txt"
}
packages=$(for font in $serial $lettering; do echo "@fontsource/${font%%:*}"; done | sort -u)
# shellcheck disable=SC2086
npm install --prefix work --no-audit --no-fund --no-save $packages
for font in $serial; do take serial "$font"; done
for font in $lettering; do take lettering "$font"; done
(cd work && apt-get download fonts-opendin fonts-roadgeek fonts-routed-gothic && for deb in *.deb; do dpkg-deb -x "$deb" .; done)
cp work/usr/share/fonts/truetype/opendin/OSP-DIN.ttf work/usr/share/fonts/truetype/roadgeek/RG2014[BCD].ttf \
    work/usr/share/fonts/truetype/routed-gothic/routed-gothic-narrow.ttf \
    work/usr/share/fonts/truetype/routed-gothic/routed-gothic.ttf serial/
for name in opendin roadgeek routed-gothic; do cp "work/usr/share/doc/fonts-$name/copyright" "licences/$name.txt"; done
rm -r work
